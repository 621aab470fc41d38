"""HOST. How good detections and tubes are, and the layouts of annotated data."""
