"""Explains the figures of an evaluation: errors by kind, groups, curves, early labels."""
