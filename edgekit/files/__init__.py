"""Reads files of others safely, and writes files whole or not at all."""
