"""Opens cameras as sources, with Video4Linux on Linux and OpenCV elsewhere."""

from __future__ import annotations

import errno
import os
import sys

from edgekit._locking import one_at_a_time
from edgekit._printable import plural
from edgekit.errors import MediaError
from edgekit.media._held import Held, within
from edgekit.media.sources.cameras._pictures import CameraPictures
from edgekit.media.sources.cameras._pixels import FORMATS
from edgekit.media.sources.cameras.messages import device_path, reason_of, unusable
from edgekit.media.sources.cameras.modes import Asked
from edgekit.media.sources.cameras.opencv_camera import OpenCVCameraSource
from edgekit.media.sources.cameras.v4l2 import Camera, Ioctl, describe
from edgekit.media.sources.source import Source, SourceOptions
from edgekit.runtime.types import Frame

__all__ = ["CameraSource", "check_camera", "open_camera"]


def check_camera(device: int | str, ioctl: Ioctl | None = None) -> Camera:
    """Returns the description of a camera on Linux, without starting it.

    Args:
        device: Camera number or device file.
        ioctl: ``fcntl.ioctl``, or a replacement for it.

    Raises:
        MediaError: The device is missing, not permitted or no camera; the message says what to do.
    """
    path = device_path(device)
    if not path.exists():
        raise unusable(device, f"there is no {path}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise unusable(device, reason_of(PermissionError(errno.EACCES, ""), path))
    camera = describe(path, ioctl)
    if camera is None:
        raise unusable(device, f"{path} is not a camera")
    return camera


def open_camera(device: int | str, options: SourceOptions | None = None) -> Source:
    """Opens a camera.

    Args:
        device: Camera number, 0 for the first, or a path such as ``/dev/video0``.
        options: Requested size, format and rate, and the longest wait for a picture.

    Raises:
        MediaError: There is no such camera, or it cannot be used; the message says why.
    """
    if not sys.platform.startswith("linux"):
        return OpenCVCameraSource(device, options)
    camera = check_camera(device)
    readable = any(form.name in FORMATS for form in camera.formats)
    if camera.planes or (camera.formats and not readable):
        return OpenCVCameraSource(device, options)
    return CameraSource(device, options)


# Many attributes: those that every source has, and those of one open device.
class CameraSource(Source):
    """A camera on Linux, given by number or device file.

    Frame times are the capture times that the driver reports. Incomplete pictures are left out;
    the next frame's index shows the gap.

    Args:
        device: Camera number, 0 for the first, or a path such as ``/dev/video0``.
        options: Requested size, format and rate, and the longest wait for a picture.
        ioctl: ``fcntl.ioctl``, or a replacement for it.

    Raises:
        MediaError: There is no such camera, it gives no picture in time, or it cannot give what was
            requested.
    """

    live = True
    reopens = True

    def __init__(
        self,
        device: int | str = 0,
        options: SourceOptions | None = None,
        *,
        ioctl: Ioctl | None = None,
    ) -> None:
        self.name = f"camera {device}"
        self._device = device
        self._options = options = options or SourceOptions()
        self._ioctl = ioctl
        self._path = path = device_path(device)
        camera = check_camera(device, ioctl)
        asked = Asked(options.camera_size, options.camera_format, options.camera_fps)
        try:
            self._pictures = within(
                options.patience,
                lambda: CameraPictures(path, camera, asked, options.patience, ioctl),
                CameraPictures.close,
            )
        except TimeoutError:
            raise unusable(device, self._no_picture()) from None
        except OSError as error:
            raise unusable(device, reason_of(error, path)) from None
        self._held = Held(self._pictures.close)
        self.width, self.height = self._pictures.mode.width, self._pictures.mode.height
        self.fps = self._pictures.fps
        self._begin: float | None = None

    @one_at_a_time
    def read(self) -> Frame | None:
        """Waits for the next frame and returns it; None once the source is closed.

        Raises:
            MediaError: The camera stopped.
        """
        reason = self._no_picture()
        try:
            picture = self._held.call(lambda: self._pictures.next(lambda: self._held.closed))
        except OSError as error:
            picture, reason = None, reason_of(error, self._path)
        if picture is None:
            if self._held.closed:
                return None
            raise MediaError(
                f"Camera {self._device} stopped after {self.position} "
                f"{plural('frame', self.position)}: {reason}.",
                hint="Check its cable, and that no other program took it.",
            )
        image, taken, lost = picture
        if self._begin is None:
            self._begin = taken
        index = self.position + lost
        self.position = index + 1
        return Frame(index, taken - self._begin, image, "dropped" if lost else "", taken=taken)

    def reopened(self) -> CameraSource:
        """Opens the camera again."""
        return CameraSource(self._device, self._options, ioctl=self._ioctl)

    def close(self) -> None:
        """Releases the device, now or when a waiting read has returned."""
        self._held.close()

    def _no_picture(self) -> str:
        return f"it gave no whole picture within {self._options.patience:g} seconds"
