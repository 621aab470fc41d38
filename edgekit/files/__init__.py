"""Reads untrusted files safely, and writes a file completely or not at all."""
