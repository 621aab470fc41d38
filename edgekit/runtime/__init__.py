"""DEVICE. Detection and linking on numpy arrays: no torch, no onnx, no converter."""
