"""DEVICE. The detector's own arithmetic, on numpy arrays: no torch, no onnx, no converter."""
