"""Lists the choices of source options; imports nothing, so that help loads fast."""

from __future__ import annotations

__all__ = ["RAW_FORMATS", "RTSP_TRANSPORTS"]

RAW_FORMATS = ("bgr24", "rgb24", "gray8", "nv12", "yuv420p")
"""Layouts of raw frames, by FFmpeg's names of pixel formats."""

RTSP_TRANSPORTS = ("tcp", "udp")
"""Transport protocols of RTSP."""
