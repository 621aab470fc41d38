"""Video files, through OpenCV."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

from edgekit.errors import MediaError
from edgekit.media._capture import CaptureSource, whole
from edgekit.media._diagnosis import unplayable
from edgekit.media._opencv import cv2, file_backend, fits_opencv
from edgekit.media.source import name_of
from edgekit.runtime.types import Frame

__all__ = ["FileSource"]

_LOG = logging.getLogger(__name__)
_TEXT_AS_VIDEO = int.from_bytes(b"ansi", "little")


class FileSource(CaptureSource):
    """The frames of a video file, to the last one that can be decoded.

    Args:
        path: Of the video.

    Raises:
        MediaError: It is missing, empty, or has no frame that can be decoded.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        if not path.is_file():
            raise MediaError(
                f"There is no file or folder {path}.",
                mend="Name a video, a folder of pictures or a URL: --source S",
            )
        if not os.access(path, os.R_OK):
            raise MediaError(f"{path} may not be read.", mend=f"Run: chmod u+r {path}")
        if not fits_opencv(path):
            raise MediaError(
                f"The name of {name_of(path)} is not UTF-8, and OpenCV cannot open it.",
                mend="Rename it, or its folder.",
            )
        capture = cv2.VideoCapture(str(path), file_backend())
        super().__init__(capture)
        self.name = name_of(path)
        first = None
        if int(capture.get(cv2.CAP_PROP_FOURCC)) != _TEXT_AS_VIDEO:
            first = self._grab()
        if first is None:
            self.close()
            raise unplayable(path)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = whole(count) or None
        self.height, self.width = first.shape[:2]
        self._first = first
        self._begin = self._container_time()
        self._time = -1.0

    def read(self) -> Frame | None:
        """The next frame, or None after the last that can be decoded."""
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        if image is None:
            if not self._held.closed:
                self._check_end()
            return None
        return self._next(image, self._frame_time())

    def _container_time(self) -> float:
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3

    def _frame_time(self) -> float:
        """The container's time where it advances, else one frame after the last."""
        seconds = self._container_time() - self._begin if self.position else 0.0
        if not (math.isfinite(seconds) and seconds > self._time):
            seconds = self._time + 1 / self.fps
        self._time = seconds
        return seconds

    def _check_end(self) -> None:
        # Some containers only estimate their length, by their duration and rate: one frame says
        # nothing, and a video whose last frame is where it ends lacks none.
        frames, last = self.frames, self._time * self.fps
        if frames is not None and self.position < frames - 1 and last < frames - 2:
            _LOG.warning(
                "%s is truncated or damaged: %d of its %d frames could be decoded.",
                self.name,
                self.position,
                frames,
            )
        self.frames = self.position
