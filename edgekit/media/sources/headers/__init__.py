"""Reads facts of video from the headers of its container and codec, without decoding it."""
