"""Names that sources may choose from, without imports, so that help can list them."""

from __future__ import annotations

__all__ = ["RAW_FORMATS", "RTSP_TRANSPORTS"]

RAW_FORMATS = ("bgr24", "rgb24", "gray8", "nv12", "yuv420p")
"""Layouts of raw frames, by FFmpeg's names of pixel formats."""

RTSP_TRANSPORTS = ("tcp", "udp")
"""Transport protocols of RTSP."""
