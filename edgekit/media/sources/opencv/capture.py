"""Base class of all sources that use ``cv2.VideoCapture``."""

from __future__ import annotations

import math

from edgekit.media._held import Held
from edgekit.media._opencv import cv2
from edgekit.media.sources.source import DEFAULT_FPS, Source
from edgekit.runtime.types import Array, Frame

__all__ = ["CaptureSource", "believable_fps", "whole", "with_first_picture"]

_HIGHEST_FPS = 1000.0


class CaptureSource(Source):
    """A source that reads from an OpenCV capture.

    Args:
        capture: Open ``cv2.VideoCapture``; the source owns it and releases it.
    """

    _first: Array | None = None
    """Picture that opening has read and ``read`` has not returned yet."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._held = Held(capture.release)
        self.width = whole(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = whole(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.fps = believable_fps(capture.get(cv2.CAP_PROP_FPS))

    def close(self) -> None:
        """Releases the device, file or connection."""
        self._first = None
        self._held.close()

    def _grab(self) -> Array | None:
        return self._held.call(self._read_capture)

    def _read_capture(self) -> Array | None:
        if not self._capture.isOpened():
            return None
        good, image = self._capture.read()
        return image if good and image is not None and image.size else None

    def _next(self, image: Array, seconds: float) -> Frame:
        self.position += 1
        return Frame(self.position - 1, seconds, image)


def with_first_picture(capture: cv2.VideoCapture) -> tuple[cv2.VideoCapture, Array | None]:
    """Returns a capture and its first picture; without one, the capture is released."""
    good, image = capture.read() if capture.isOpened() else (False, None)
    if not good:
        capture.release()  # nobody else would, while an error's traceback refers to it
    return capture, image if good else None


def believable_fps(declared: float | None) -> float:
    """Returns the declared frame rate if it is plausible, else the default rate."""
    if declared is not None and math.isfinite(declared) and 0 < declared <= _HIGHEST_FPS:
        return float(declared)
    return DEFAULT_FPS


def whole(value: float) -> int:
    """Converts a property of OpenCV to a count; 0 if it is not finite and positive."""
    return int(value) if math.isfinite(value) and value > 0 else 0
