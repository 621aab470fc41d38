"""Cameras through OpenCV: outside Linux, and on Linux for multi-planar formats."""

from __future__ import annotations

import sys
import time
from typing import Any

from edgekit._locking import one_at_a_time
from edgekit._parameters import parameter
from edgekit._printable import plural
from edgekit.errors import MediaError
from edgekit.media._held import within
from edgekit.media._opencv import cv2
from edgekit.media.sources.cameras.messages import unusable
from edgekit.media.sources.opencv.capture import CaptureSource, with_first_picture
from edgekit.media.sources.source import SourceOptions
from edgekit.runtime.types import Frame

__all__ = ["OpenCVCameraSource"]

_QUEUED = 8
_PRESENT = 0.005
"""Largest wait in seconds for a picture that was already queued."""


class OpenCVCameraSource(CaptureSource):
    """A camera, given by number or device file. Frame times are times of arrival.

    Args:
        device: Camera number, 0 for the first, or a path such as ``/dev/video0``.
        options: Requested size, format and rate, and the longest wait for the first picture.

    Raises:
        MediaError: There is no such camera, it gives no picture in time, or it cannot give what was
            requested.
    """

    live = True
    reopens = True

    def __init__(self, device: int | str = 0, options: SourceOptions | None = None) -> None:
        self._device = device
        self._options = options or SourceOptions()
        patience = self._options.patience
        try:
            capture, first = within(patience, self._open, lambda made: made[0].release())
        except TimeoutError:
            raise unusable(device, f"it gives no picture within {patience:g} seconds") from None
        if first is None:
            raise unusable(device, "it is not there, taken by another program, or not permitted")
        super().__init__(capture)
        self.name = f"camera {device}"
        self.height, self.width = first.shape[:2]
        self._check()
        self._begin: float | None = None

    @one_at_a_time
    def read(self) -> Frame | None:
        """Waits for the next frame and returns it; None once the source is closed.

        Raises:
            MediaError: The camera stopped.
        """
        if self._begin is None:
            self._held.call(self._drain)
        image = self._grab()
        now = time.monotonic()
        if image is None:
            if self._held.closed:
                return None
            raise MediaError(
                f"Camera {self._device} stopped after {self.position} "
                f"{plural('frame', self.position)}.",
                hint="Check its cable, and that no other program took it.",
            )
        if self._begin is None:
            self._begin = now
        return self._next(image, now - self._begin)

    def reopened(self) -> OpenCVCameraSource:
        """Opens the camera again."""
        return OpenCVCameraSource(self._device, self._options)

    def _open(self) -> tuple[Any, Any]:
        capture = cv2.VideoCapture(self._device, _backend())
        options = self._options
        if options.camera_format:
            code = cv2.VideoWriter.fourcc(*options.camera_format.ljust(4))
            capture.set(cv2.CAP_PROP_FOURCC, code)
        if options.camera_size:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.camera_size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.camera_size[1])
        if options.camera_fps:
            capture.set(cv2.CAP_PROP_FPS, options.camera_fps)
        return with_first_picture(capture)

    def _check(self) -> None:
        wanted = self._options.camera_size
        if wanted and wanted != (self.width, self.height):
            self.close()
            raise unusable(
                self._device,
                f"{parameter('camera_size')} asks for {wanted[0]}x{wanted[1]} pixels, and it "
                f"gives {self.width}x{self.height}",
            )

    def _drain(self) -> None:
        """Discards pictures that were queued since the camera was opened."""
        for _ in range(_QUEUED):
            begin = time.monotonic()
            if not self._capture.grab() or time.monotonic() - begin > _PRESENT:
                break


def _backend() -> int:
    """Returns Video4Linux on Linux, where other backends read a device path as a file."""
    return int(cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY)
