"""Reads every frame of a recording, or the newest frame of a live source."""
