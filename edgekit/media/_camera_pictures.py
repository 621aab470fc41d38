"""The whole pictures of a camera, each with the time at which it was taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import MediaError
from edgekit.media._camera_pixels import JPEG_FORMATS, to_bgr
from edgekit.media._capture import believable_fps
from edgekit.media.camera_modes import Asked, offered, ranked
from edgekit.media.v4l2 import Camera, Ioctl
from edgekit.media.v4l2_capture import Filled, Mode, V4L2Capture

__all__ = ["CameraPictures", "Picture"]

_OLDEST = 1.0
"""Seconds that a picture that was waited for can be old; more says that the clock is another."""

_MOST_LOST = 2.0
"""Share of the frames by rate and clock that can have been lost; more is no count of frames."""

_WITHOUT_END = 5
_SCAN, _END = b"\xff\xda", b"\xff\xd9"


class Picture(NamedTuple):
    """A picture of a camera.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        taken: Seconds of ``time.monotonic``.
        lost: How many pictures were lost or incomplete since the last one.
    """

    image: Any
    taken: float
    lost: int


class CameraPictures:
    """A camera that streams.

    Args:
        path: Device file.
        camera: As it describes itself.
        asked: What it is to give.
        patience: Seconds to wait for a whole picture.
        ioctl: ``fcntl.ioctl``, or what takes its place.

    Raises:
        MediaError: It does not offer what was asked for.
        OSError: Its driver refuses.
        TimeoutError: It gives no picture.

    Attributes:
        mode: What the driver agreed to.
        fps: Frames a second, as declared or else assumed.
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
        # Of the last picture, once one was given; and whether the driver keeps our clock.
        self._number, self._taken = -1, 0.0
        self._trusted: bool | None = None
        # Whether the camera ends its JPEGs; None until it has shown.
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
        # That one proves that the camera gives pictures, and is old when the first is asked for.
        self._number, self._taken, self._trusted = -1, 0.0, None

    def next(self, closed: Callable[[], bool]) -> Picture | None:
        """The next whole picture, waiting for it; the first one is not older than the call.

        Args:
            closed: Asked several times a second; ends the waiting.

        Returns:
            None where none came in time, or it was closed.

        Raises:
            OSError: The camera has gone or failed.
        """
        if self._number < 0:
            self._capture.drain()
        return self._next(closed)

    def close(self) -> None:
        """Ends the stream and releases the device."""
        self._capture.close()

    def _next(self, closed: Callable[[], bool]) -> Picture | None:
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
        what = f"does not give {asked}" if str(asked) else "gives no format that EdgeKit reads"
        raise MediaError(
            f"The camera {camera.device} ({camera.name}) {what}.",
            mend="\n".join(("It offers:", *offered(camera.formats))),
        )

    def _picture(self, filled: Filled) -> Picture | None:
        """What a buffer holds; None where that is incomplete."""
        now = time.monotonic()
        if filled.broken or not self._is_whole(filled.data):
            return None
        mode = self.mode
        # Newer OpenCV decodes no JPEG without an end.
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
        return Picture(image, taken, lost)

    def _is_whole(self, data: memoryview) -> bool:
        """Whether a JPEG has its end, of a camera that sends one."""
        if self.mode.format not in JPEG_FORMATS or self._ends is False:
            return True
        content = bytes(data)
        # Scan data cannot look like these markers.
        if content.rfind(_END) > content.rfind(_SCAN):
            self._ends = True
            return True
        if self._ends is None:
            self._endless += 1
            if self._endless == _WITHOUT_END:
                self._ends = False
        return self._ends is False

    def _time_of(self, filled: Filled, now: float) -> float:
        """When a picture was taken, by the driver if it keeps our clock, else by its arrival."""
        taken = filled.time
        if self._trusted is None:
            self._trusted = taken is not None and 0 <= now - taken < _OLDEST
        if taken is None or not self._trusted or not self._taken < taken <= now:
            return max(now, self._taken)
        return taken
