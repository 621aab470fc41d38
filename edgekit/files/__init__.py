"""Reads files from others safely, and writes a file completely or not at all."""
