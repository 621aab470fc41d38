"""TensorRT, on a Jetson."""
