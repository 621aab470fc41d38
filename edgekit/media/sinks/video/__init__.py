"""Writes annotated video: whole runs, live runs and clips of single tubes."""
