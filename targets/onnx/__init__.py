"""The target ``onnx``: bundles for ONNX Runtime on any CPU."""
