"""Cameras, video files and network streams, all through OpenCV."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from edgekit.errors import MediaError
from edgekit.media._diagnosis import unplayable
from edgekit.media._opencv import cv2, file_backend, fits_opencv, silenced
from edgekit.media.source import DEFAULT_FPS, Source, name_of
from edgekit.runtime.types import Frame

__all__ = ["CameraSource", "FileSource", "StreamSource"]

_LOG = logging.getLogger(__name__)
_HIGHEST_FPS = 1000.0
_TEXT_AS_VIDEO = int.from_bytes(b"ansi", "little")
_PATIENCE_MS = 10_000


class _CaptureSource(Source):
    """What all that ``cv2.VideoCapture`` opens have in common."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        # A capture must not be released while a thread reads from it.
        self._lock = threading.Lock()
        self._closed = False
        self.width = _whole(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = _whole(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= _HIGHEST_FPS else DEFAULT_FPS

    def _grab(self) -> Any:
        with self._lock:
            if not self._capture.isOpened():
                return None
            good, image = self._capture.read()
        if self._closed:
            self.close()
        return image if good and image is not None and image.size else None

    def close(self) -> None:
        """Releases the device or file, once a read that another thread is in has returned."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._lock.release()

    def _next(self, image: Any, seconds: float) -> Frame:
        self.position += 1
        return Frame(self.position - 1, seconds, image)


class FileSource(_CaptureSource):
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
        with silenced():
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
        self.frames = _whole(count) or None
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
        # Some containers only estimate their length, so that one frame says nothing.
        if self.frames is not None and self.position < self.frames - 1:
            _LOG.warning(
                "%s is truncated or damaged: %d of its %d frames could be decoded.",
                self.name,
                self.position,
                self.frames,
            )
        self.frames = self.position


class CameraSource(_CaptureSource):
    """A camera, by number or device file.

    Args:
        device: 0 for the first one, or a path like ``/dev/video0``.

    Raises:
        MediaError: There is none, or it gives no picture.
    """

    live = True
    reopens = True

    def __init__(self, device: int | str = 0) -> None:
        self._device = device
        with silenced():
            capture = cv2.VideoCapture(device)
        super().__init__(capture)
        self._first = self._grab()
        if self._first is None:
            self.close()
            raise MediaError(
                f"Camera {device} cannot be used: {_why_no_camera(device)}.",
                mend="Use a file, folder or URL instead: edgekit run --source S\n"
                "Or see it work without any: edgekit demo",
            )
        self.name = f"camera {device}"
        self.height, self.width = self._first.shape[:2]
        self._begin = time.monotonic()

    def reopened(self) -> CameraSource:
        """The same camera, opened anew."""
        return CameraSource(self._device)

    def read(self) -> Frame | None:
        """The next frame; waits for it.

        Raises:
            MediaError: The camera stopped.
        """
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        if image is None:
            raise MediaError(
                f"{self.name} stopped after {self.position} frames.".capitalize(),
                mend="Check its cable, and that no other program took it.",
            )
        return self._next(image, time.monotonic() - self._begin)


class StreamSource(_CaptureSource):
    """A network stream, played until it ends.

    Args:
        url: ``rtsp://``, ``http://`` and what else OpenCV's FFmpeg opens.

    Raises:
        MediaError: It cannot be reached, or gives no picture.
    """

    live = True

    def __init__(self, url: str) -> None:
        self._url = url
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE_MS]
        timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE_MS]
        with silenced():
            capture = cv2.VideoCapture(url, file_backend(), timeouts)
        super().__init__(capture)
        self._first = self._grab()
        if self._first is None:
            self.close()
            raise MediaError(
                f"No picture came from {_without_password(url)} within "
                f"{_PATIENCE_MS // 1000} seconds.",
                mend="Check the address, the name and password in it, and the network.",
            )
        self.name = _without_password(url)
        self.height, self.width = self._first.shape[:2]
        # What has a length is a file behind a server, and its end is the end.
        self.frames = _whole(capture.get(cv2.CAP_PROP_FRAME_COUNT)) or None
        self.reopens = self.frames is None
        self._begin = time.monotonic()

    def reopened(self) -> StreamSource:
        """The same stream, opened anew."""
        return StreamSource(self._url)

    def read(self) -> Frame | None:
        """The next frame, or None when the stream has ended."""
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        if image is None:
            if not self.reopens:
                _LOG.warning("%s ended after %d frames.", self.name, self.position)
            return None
        return self._next(image, time.monotonic() - self._begin)


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) and value > 0 else 0


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def _why_no_camera(device: int | str) -> str:
    if not sys.platform.startswith("linux"):
        return "it is not there, taken by another program, or not permitted"
    path = Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)
    if not path.exists():
        return f"there is no {path}"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path} may not be opened (run: sudo usermod -aG video $USER, then log in again)"
    return f"{path} gives no picture; another program may have it"
