"""Imports OpenCV, and chooses the backend and the paths that its readers accept.

OpenCV's own messages are left as they are: the environment and the log level belong to the program
that uses EdgeKit. The command line turns them off for its own process, because EdgeKit reports each
problem once. Descriptor 2 is never redirected, because other threads may be printing.
"""

from __future__ import annotations

from pathlib import Path

import cv2

__all__ = ["cv2", "file_backend", "fits_opencv"]


def file_backend() -> int:
    """Returns FFmpeg if OpenCV has it: other backends read digits or % in a name as a pattern."""
    has_ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    return cv2.CAP_FFMPEG if has_ffmpeg else cv2.CAP_ANY


def fits_opencv(path: Path) -> bool:
    """Returns whether OpenCV can open a path: it crashes on a path that is not valid UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
