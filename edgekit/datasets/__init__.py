"""Reads annotated videos: EdgeKit's own layout and the published ones."""
