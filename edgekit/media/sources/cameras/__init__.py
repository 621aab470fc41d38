"""Reads cameras, with Video4Linux on Linux and OpenCV elsewhere."""
