"""Reads files and streams through OpenCV, for use without PyAV."""
