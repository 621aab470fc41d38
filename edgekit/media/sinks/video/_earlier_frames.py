"""Keeps the results of the newest seconds in memory, with their pictures as JPEG."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.media._opencv import cv2
from edgekit.pipeline.results import FrameResult

__all__ = ["EarlierFrames"]

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 1 << 28
"""Largest size in bytes of the pictures kept in memory: 30 seconds of most cameras."""

_QUALITY = 90


class EarlierFrames:
    """The frames of the newest seconds, in at most 256 MiB; a warning says if they are fewer.

    Args:
        seconds: Seconds of the source to keep; 0 keeps nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: deque[tuple[FrameResult, npt.NDArray[np.uint8]]] = deque()
        self._bytes = 0
        self._warned = False

    def add(self, result: FrameResult) -> None:
        """Keeps a frame, and forgets those that are too old or too many."""
        if not self._seconds:
            return
        quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        good, jpeg = cv2.imencode(".jpg", result.frame.image, quality)
        if not good:  # it is too large for JPEG, and for a video too
            return
        self._kept.append((replace(result, frame=result.frame.without_pictures()), jpeg))
        self._bytes += jpeg.nbytes
        oldest = result.frame.time - self._seconds
        while self._kept[0][0].frame.time < oldest:
            self._forget()
        while self._bytes > _MOST_BYTES and len(self._kept) > 1:
            self._forget()
            if not self._warned:
                self._warned = True
                _LOG.warning(
                    "Frames of the %g seconds before a tube would take more than %d MiB of memory. "
                    "The clips of this source begin %.1f seconds before their tube.",
                    self._seconds,
                    _MOST_BYTES >> 20,
                    result.frame.time - self._kept[0][0].frame.time,
                )

    def before(self, now: float) -> Iterator[FrameResult]:
        """Yields the results of the last seconds before a time of the source, oldest first."""
        for result, jpeg in self._kept:
            if result.frame.time >= now - self._seconds:
                image: Any = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
                yield replace(result, frame=replace(result.frame, image=image))

    def forget_tubes(self) -> None:
        """Keeps the pictures without their tubes, because the classes have changed."""
        self._kept = deque((replace(result, tubes=()), jpeg) for result, jpeg in self._kept)

    def _forget(self) -> None:
        self._bytes -= self._kept.popleft()[1].nbytes
