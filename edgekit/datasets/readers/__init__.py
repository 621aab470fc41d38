"""Readers of the layouts of annotation tools and of other published datasets."""
