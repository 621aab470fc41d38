"""OpenCV without its own words on standard error: what is wrong is said once, by EdgeKit."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

__all__ = ["cv2", "file_backend", "fits_opencv", "silenced"]

with contextlib.suppress(AttributeError):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def file_backend() -> int:
    """FFmpeg where OpenCV has it: the others take digits or % in a name for a pattern."""
    has_ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    return cv2.CAP_FFMPEG if has_ffmpeg else cv2.CAP_ANY


def fits_opencv(path: Path) -> bool:
    """Whether OpenCV can be given a path: it crashes on one that is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Sends the process's standard error nowhere, for C libraries that print without asking.

    Only for short calls: what other threads print meanwhile is lost too.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
