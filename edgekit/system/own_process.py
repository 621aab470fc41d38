"""Tells whether this process is EdgeKit's own, or another program's that uses EdgeKit.

Only in its own process may EdgeKit change what all threads share: the environment, signal handlers,
standard streams, warnings and logging.
"""

from __future__ import annotations

import os

__all__ = ["claim_process", "is_own_process"]

_SETTINGS = {
    # A small file may declare a billion pixels: twice 8K, as in edgekit.media.sources.source.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 26),
    # EdgeKit reports each problem once, in its own words.
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    # Qt warns in each window about fonts that opencv-python does not include.
    "QT_LOGGING_RULES": "*.debug=false;*.warning=false",
}
"""Environment variables of an own process, unless the user sets them."""

_claimed = False


def claim_process() -> None:
    """States that EdgeKit started this process: its command line, or a worker process.

    Call it before OpenCV is imported, which reads its settings from the environment then.
    """
    global _claimed
    _claimed = True
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def is_own_process() -> bool:
    """Returns whether EdgeKit started this process: its command line, or a worker process."""
    return _claimed
