"""HOST. Scores detections and tubes, and reads annotated data."""
