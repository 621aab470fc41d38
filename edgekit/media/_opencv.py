"""Imports OpenCV without its own log messages, because EdgeKit reports each problem once.

Descriptor 2 is never redirected, because other threads may be printing. libjpeg's rare warnings
about damaged pictures therefore still appear.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

__all__ = ["cv2", "file_backend", "fits_opencv"]

with contextlib.suppress(AttributeError):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


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
