"""Reads video files through OpenCV, for use without PyAV."""

from __future__ import annotations

from pathlib import Path

from edgekit._locking import one_at_a_time
from edgekit.errors import MediaError
from edgekit.media._opencv import cv2, file_backend, fits_opencv
from edgekit.media.sources._frame_clock import FrameClock, checked_fps
from edgekit.media.sources._messages import say_damage
from edgekit.media.sources._protocols import file_limits, in_opencv
from edgekit.media.sources.headers.completeness import lacks_end
from edgekit.media.sources.headers.diagnosis import check_alone, check_file, unplayable
from edgekit.media.sources.opencv._limits import (
    aspect_of,
    check_readable,
    check_stream,
    declared_fps,
)
from edgekit.media.sources.opencv.capture import CaptureSource, whole
from edgekit.media.sources.source import name_of
from edgekit.runtime.types import Frame
from edgekit.system.leaving import inside

__all__ = ["FileSource"]

_TEXT_AS_VIDEO = int.from_bytes(b"ansi", "little")


# Many attributes: those that every source has, and the state of one file.
class FileSource(CaptureSource):
    """The frames of a video file, up to the last decodable one.

    It gives the frames and times of ``VideoSource``, or refuses the file.

    Args:
        path: Path of the video.

    Raises:
        MediaError: The file is missing, empty, or has no decodable frame.
        MissingDependencyError: OpenCV would read the file wrongly; it needs the extra ``video``.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        check_file(path)
        check_alone(path)
        if not fits_opencv(path):
            raise MediaError(
                f"The name of {name_of(path)} is not UTF-8, and OpenCV cannot open it.",
                hint="Rename it, or its folder.",
            )
        outline = check_readable(path)
        with inside(), in_opencv(file_limits(())):
            capture = cv2.VideoCapture(str(path.absolute()), file_backend())
        super().__init__(capture)
        self.name = name_of(path)
        self._path = path
        self._said = False
        first = None
        if int(capture.get(cv2.CAP_PROP_FOURCC)) != _TEXT_AS_VIDEO:
            first = self._grab()
        if first is None:
            self.close()
            raise unplayable(path)
        try:
            check_stream(path, capture, outline)
        except BaseException:
            self.close()
            raise
        declared, self._has_times = declared_fps(capture)
        self.fps = checked_fps(declared, outline.times)
        self.frames = whole(capture.get(cv2.CAP_PROP_FRAME_COUNT)) or None
        self.height, self.width = first.shape[:2]
        self.sample_aspect = aspect_of(capture, self.name)
        self._first = first
        self._clock = FrameClock(self.fps)

    @one_at_a_time
    def read(self) -> Frame | None:
        """Returns the next frame, or None after the last decodable one."""
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        if image is None:
            if not (self._held.closed or self._said):
                self._said = True
                say_damage(self, cut=lacks_end(self._path), broken=0)
                self.frames = self.position
            return None
        shown = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3 if self._has_times else None
        index, self.position = self.position, self.position + 1
        return Frame(index, self._clock.seconds(shown), image, "", self.sample_aspect)
