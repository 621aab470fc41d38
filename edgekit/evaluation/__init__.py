"""Runs a bundle on annotated videos, and has ``edgekit.metrics`` score its detections."""
