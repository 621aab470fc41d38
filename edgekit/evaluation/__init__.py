"""Runs bundles on annotated videos, and scores what they detect."""
