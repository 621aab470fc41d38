"""DEVICE. Links detections to tubes: EdgeKit's own tracker and the published linkers."""
