"""DEVICE. Processes one frame as numpy arrays: letterbox, cascade, decoding and selection."""
