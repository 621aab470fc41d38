"""DEVICE. Reads a source for the pipeline: a recording frame by frame, a live source at its end."""
