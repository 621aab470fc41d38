"""Scores saved detections and tubes; it runs no model (``edgekit.evaluation`` does)."""
