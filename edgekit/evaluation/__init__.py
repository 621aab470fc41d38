"""Measures the accuracy of a bundle on annotated videos, for ``edgekit eval``."""
