"""The target ``jetson``: bundles for TensorRT on NVIDIA Jetson boards."""
