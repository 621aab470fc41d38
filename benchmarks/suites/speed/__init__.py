"""Measures EdgeKit's speed and size, and compares them with those of other tools."""
