"""DEVICE. What is done to one frame: cascade, decoding and selection, on numpy arrays."""
