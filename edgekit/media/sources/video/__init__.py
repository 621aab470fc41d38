"""Reads video files and network streams through PyAV."""
