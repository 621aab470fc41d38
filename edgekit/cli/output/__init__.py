"""Prints results, errors and progress, for people and as JSON."""
