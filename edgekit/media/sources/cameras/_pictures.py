"""Reads complete pictures from a camera, each with its capture time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import MediaError
from edgekit.media.sources.cameras._pixels import FORMATS, JPEG_FORMATS, to_bgr
from edgekit.media.sources.cameras.modes import Asked, offered, ranked
from edgekit.media.sources.cameras.v4l2 import Camera, Ioctl
from edgekit.media.sources.cameras.v4l2_capture import Filled, Mode, V4L2Capture
from edgekit.media.sources.opencv.capture import believable_fps

__all__ = ["CameraPicture", "CameraPictures"]

_OLDEST = 1.0
"""Largest age of a new picture in seconds; an older timestamp comes from another clock."""

_MOST_LOST = 2.0
"""Largest gap in frame numbers, as a multiple of the expected frames; a larger one is no loss."""

_WITHOUT_END = 5
_SCAN, _END = b"\xff\xda", b"\xff\xd9"


class CameraPicture(NamedTuple):
    """A picture from a camera.

    Attributes:
        image: Pixels, (H, W, 3) uint8, BGR.
        taken: Capture time in seconds of ``time.monotonic``.
        lost: Number of lost or incomplete pictures since the previous one.
    """

    image: Any
    taken: float
    lost: int


class CameraPictures:
    """A camera that is streaming.

    Args:
        path: Device file.
        camera: The camera's description of itself.
        asked: Requested size, rate and format.
        patience: Seconds to wait for a complete picture.
        ioctl: ``fcntl.ioctl``, or a replacement for it.

    Raises:
        MediaError: The camera does not offer the requested mode.
        OSError: The camera's driver refuses.
        TimeoutError: The camera gives no picture.

    Attributes:
        mode: Mode that the driver agreed to.
        fps: Declared frames per second, or the assumed rate if none is declared.
    """

    def __init__(
        self,
        path: Path,
        camera: Camera,
        asked: Asked,
        patience: float,
        ioctl: Ioctl | None = None,
    ) -> None:
        self._patience = patience
        self._capture = V4L2Capture(path, ioctl)
        # Number and time of the last picture (-1 before the first); whether the driver uses our
        # clock.
        self._number, self._taken = -1, 0.0
        self._trusted: bool | None = None
        # Whether the camera ends its JPEGs with a marker; None until this is known.
        self._ends: bool | None = None
        self._endless = 0
        try:
            self.mode = self._negotiate(camera, asked)
            self.fps = believable_fps(self.mode.fps)
            self._capture.start()
            if self._next(lambda: False) is None:
                raise TimeoutError
        except BaseException:
            self._capture.close()
            raise
        # The picture above proves that the camera works, but would be old at the first ``next``.
        self._number, self._taken, self._trusted = -1, 0.0, None

    def next(self, closed: Callable[[], bool]) -> CameraPicture | None:
        """Waits for the next complete picture; the first one is never older than the call.

        Args:
            closed: Function polled several times per second; the wait ends when it returns True.

        Returns:
            The picture; None if none came in time or ``closed`` returned True.

        Raises:
            OSError: The camera was unplugged or failed.
        """
        if self._number < 0:
            self._capture.drain()
        return self._next(closed)

    def close(self) -> None:
        """Ends the stream and releases the device."""
        self._capture.close()

    def _next(self, closed: Callable[[], bool]) -> CameraPicture | None:
        deadline = time.monotonic() + self._patience

        def over() -> bool:
            return closed() or time.monotonic() >= deadline

        while not over():
            picture = self._capture.take(self._picture, over)
            if picture is not None:
                return picture
        return None

    def _negotiate(self, camera: Camera, asked: Asked) -> Mode:
        for name in ranked(camera.formats, asked):
            mode = self._capture.set_mode(name, *asked.target)
            if asked.is_met_by(mode):
                return mode
        what = f"does not offer {asked}" if str(asked) else "offers no format that EdgeKit reads"
        readable = [form for form in camera.formats if form.name in FORMATS]
        heading = "Choose a format that EdgeKit reads:" if readable else "The camera offers:"
        raise MediaError(
            f"The camera {camera.device} ({camera.name}) {what}.",
            hint="\n".join((heading, *offered(readable or camera.formats))),
        )

    def _picture(self, filled: Filled) -> CameraPicture | None:
        """Decodes the picture in a buffer; None if it is incomplete."""
        now = time.monotonic()
        if filled.broken or not self._is_whole(filled.data):
            return None
        mode = self.mode
        # Newer OpenCV versions reject a JPEG without an end marker.
        data = bytes(filled.data) + _END if self._ends is False else filled.data
        image = to_bgr(data, mode.format, mode.width, mode.height, mode.stride)
        if image is None:
            return None
        taken = self._time_of(filled, now)
        lost = 0
        if self._number >= 0:
            lost = (filled.number - self._number - 1) % (1 << 32)
            if lost > _MOST_LOST * (taken - self._taken) * self.fps + 1:
                lost = 0
        self._number, self._taken = filled.number, taken
        return CameraPicture(image, taken, lost)

    def _is_whole(self, data: memoryview) -> bool:
        """Returns False for a JPEG without its end marker, unless this camera sends none."""
        if self.mode.format not in JPEG_FORMATS or self._ends is False:
            return True
        content = bytes(data)
        # JPEG scan data cannot contain these markers.
        if content.rfind(_END) > content.rfind(_SCAN):
            self._ends = True
            return True
        if self._ends is None:
            self._endless += 1
            if self._endless == _WITHOUT_END:
                self._ends = False
        return self._ends is False

    def _time_of(self, filled: Filled, now: float) -> float:
        """Returns the driver's capture time if it uses our clock, else the time of arrival."""
        taken = filled.time
        if self._trusted is None:
            self._trusted = taken is not None and 0 <= now - taken < _OLDEST
        if taken is None or not self._trusted or not self._taken < taken <= now:
            return max(now, self._taken)
        return taken
