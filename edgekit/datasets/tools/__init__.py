"""Inspects, checks, converts and splits datasets."""
