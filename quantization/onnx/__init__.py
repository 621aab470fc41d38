"""Quantizes ONNX models for ONNX Runtime."""
