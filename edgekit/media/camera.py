"""Cameras, through OpenCV."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from edgekit.errors import MediaError
from edgekit.media._capture import CaptureSource
from edgekit.media._opencv import cv2
from edgekit.media.v4l2 import describe
from edgekit.runtime.types import Frame

__all__ = ["CameraSource"]


class CameraSource(CaptureSource):
    """A camera, by number or device file.

    Args:
        device: 0 for the first one, or a path like ``/dev/video0``.

    Raises:
        MediaError: There is none, or it gives no picture.
    """

    live = True
    reopens = True

    def __init__(self, device: int | str = 0) -> None:
        capture = cv2.VideoCapture(device, _backend())
        super().__init__(capture)
        self._device = device
        self._first = self._grab()
        if self._first is None:
            self.close()
            raise MediaError(
                f"Camera {device} cannot be used: {_why_not(device)}.",
                mend="Use a file, folder or URL instead: edgekit run --source S\n"
                "Or see it work without any: edgekit demo",
            )
        self.name = f"camera {device}"
        self.height, self.width = self._first.shape[:2]
        self._begin = time.monotonic()

    def read(self) -> Frame | None:
        """The next frame; waits for it. None once it is closed.

        Raises:
            MediaError: The camera stopped.
        """
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        if image is None:
            if self._held.closed:
                return None
            raise MediaError(
                f"{self.name} stopped after {self.position} frames.".capitalize(),
                mend="Check its cable, and that no other program took it.",
            )
        return self._next(image, time.monotonic() - self._begin)

    def reopened(self) -> CameraSource:
        """The same camera, opened anew."""
        return CameraSource(self._device)


def _backend() -> int:
    """Video4Linux where there is one: the other backends take a device's path for a file."""
    if cv2.CAP_V4L2 in cv2.videoio_registry.getCameraBackends():
        return cv2.CAP_V4L2
    return cv2.CAP_ANY


def _why_not(device: int | str) -> str:
    if not sys.platform.startswith("linux"):
        return "it is not there, taken by another program, or not permitted"
    path = Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)
    if not path.exists():
        return f"there is no {path}"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path} may not be opened (run: sudo usermod -aG video $USER, then log in again)"
    if describe(path) is None:
        return f"{path} is no camera"
    users = _users_of(path)
    if users:
        return f"{path} gives no picture, and others have it open: {users}"
    return f"{path} gives no picture"


def _users_of(path: Path) -> str:
    """The other processes that have a file open, as far as this user may see; three at most."""
    found = []
    target = path.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(entry.resolve() == target for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                found.append(f"{name} (process {process.name})")
    return ", ".join(found[:3])
