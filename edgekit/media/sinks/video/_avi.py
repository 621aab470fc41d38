"""Writes AVI files by OpenCV: Motion JPEG at a fixed rate, for old programs and huge frames."""

from __future__ import annotations

import errno
import logging
import math
import shutil
import struct
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from edgekit._parameters import parameter
from edgekit.errors import OutputError
from edgekit.files.output_paths import output_error, writing
from edgekit.media._opencv import cv2, file_backend
from edgekit.media.sinks.video._timed_frames import HIGHEST_FPS, even
from edgekit.media.sinks.video.codecs import MJPEG, MPEG4
from edgekit.media.sources.source import name_of
from edgekit.pipeline.results import RunInfo
from edgekit.runtime.types import Array

__all__ = ["AviFile"]

_LOG = logging.getLogger(__name__)
_CHECK_EVERY = 30
_SPARE_BYTES = 1 << 18
_FRAME_TIME_AT, _RATE_AT = 32, 128
"""Byte offsets at which FFmpeg writes the microseconds per frame, and the scale and rate."""


class AviFile:
    """A video with the duration of its source, a fixed frame duration and square pixels.

    Args:
        temporary: Temporary file to write.
        path: Final path, as messages name it.
        size: Size (height, width) of the frames in pixels.
        info: Description of the run: frame rate and pixel aspect ratio.

    Attributes:
        codec: Codec of the encoded frames.

    Raises:
        OutputError: OpenCV cannot write such a video. Later calls raise it when the disk is full.
    """

    def __init__(self, temporary: Path, path: Path, size: tuple[int, int], info: RunInfo) -> None:
        self._temporary, self._path = temporary, path
        self._square = info.sample_aspect == 1
        self._fps = min(info.fps, HIGHEST_FPS)
        self._times = array("d")
        height, width = (side + side % 2 for side in size)
        # OpenCV writes beyond its memory when it encodes tiny frames as Motion JPEG.
        self.codec = codec = MJPEG if min(height, width) >= MJPEG.least else MPEG4
        code = cv2.VideoWriter.fourcc(*codec.encoder)
        self._writer: Any = cv2.VideoWriter(
            str(temporary), file_backend(), code, self._fps, (width, height)
        )
        if min(size) < codec.least or not self._writer.isOpened():
            self._writer.release()
            raise OutputError(
                f"A video of {size[1]}x{size[0]} pixels cannot be written to {name_of(path)}. "
                f"{codec.limits}",
                hint=f"Leave out {parameter('video')}.",
            )
        _LOG.info("%s is written as %s.", name_of(path), codec.name)

    def frame(self, image: Array, seconds: float) -> None:
        """Writes a frame."""
        self._writer.write(even(image))
        self._times.append(seconds)
        # OpenCV's writer does not report a full disk.
        if len(self._times) % _CHECK_EVERY == 0 and self._is_full():
            raise self._disk_full()

    def end(self) -> bool:
        """Completes the video, and returns False if it has no frame."""
        self._writer.release()
        if not self._times:
            return False
        if not self._playable():
            if self._is_full():
                raise self._disk_full()
            raise OutputError(
                f"OpenCV could not complete the video {self._path}.",
                hint=f"Write it as MP4 instead: {name_of(self._path.with_suffix('.mp4'))}",
            )
        name, other = name_of(self._path), name_of(self._path.with_suffix(".mp4"))
        # Times at another fixed rate, as with a limited one, are kept by the file's rate.
        if self._is_off(1 / self._fps) and self._is_off(self._spread() or 1 / self._fps):
            _LOG.warning(
                "%s does not keep the times of its frames, because AVI has a fixed frame rate. To "
                "keep them, name it %s.", name, other,
            )  # fmt: skip
        if not self._square:
            _LOG.warning(
                "Players show %s too narrow or too wide, because AVI cannot store that its pixels "
                "are not square. To keep their shape, name it %s.", name, other,
            )  # fmt: skip
        return True

    def close(self) -> None:
        """Closes the file."""
        self._writer.release()

    def _is_off(self, step: float) -> bool:
        """Returns whether a frame is shown at another time than its own, by more than one step."""
        with np.errstate(invalid="ignore"):  # a package's source may give times without a meaning
            off = np.asarray(self._times) - self._times[0] - step * np.arange(len(self._times))
        return bool(np.abs(off).max() > step)

    def _spread(self) -> float:
        """Sets the seconds of each frame with which the video lasts as long as its source.

        Returns:
            These seconds; 0 if the times give none.
        """
        step = (self._times[-1] - self._times[0]) / max(len(self._times) - 1, 1)
        if not 0 < step < math.inf:
            return 0.0
        micros = min(round(1e6 * step), 0xFFFFFFFF)  # at most 71 minutes
        with writing(self._path), self._temporary.open("r+b") as file:
            for place, values in ((_FRAME_TIME_AT, [micros]), (_RATE_AT, [micros, 1_000_000])):
                file.seek(place)
                file.write(struct.pack(f"<{len(values)}I", *values))
        return micros / 1e6

    def _is_full(self) -> bool:
        return shutil.disk_usage(self._temporary.parent).free < _SPARE_BYTES

    def _disk_full(self) -> OutputError:
        return output_error(OSError(errno.ENOSPC, "No space left on device"), self._path)

    def _playable(self) -> bool:
        capture = cv2.VideoCapture(str(self._temporary), file_backend())
        good: bool = capture.isOpened() and capture.read()[0]
        capture.release()
        return good
