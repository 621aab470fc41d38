"""The annotated video."""

from __future__ import annotations

import contextlib
import errno
import shutil
from pathlib import Path
from typing import Any

from edgekit._files import atomic_file, output_error
from edgekit.errors import OutputError
from edgekit.media._opencv import cv2, file_backend, fits_opencv
from edgekit.media.drawing import Annotator
from edgekit.media.sink import Sink
from edgekit.media.source import name_of
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.results import FrameResult, RunInfo, RunSummary

__all__ = ["VideoSink"]

_CODECS = {".avi": ("MJPG",), ".webm": ("VP80", "VP90")}
_OTHER_CODECS = ("mp4v", "avc1")
_HIGHEST_FPS = 240.0
_CHECK_EVERY = 30
_SPARE_BYTES = 1 << 18
_LEAST = 2
"""Pixels a side that the encoders need."""


class VideoSink(Sink):
    """Writes the annotated frames as a video, which appears when the run is over.

    The first frame gives the size; frames of another size are fitted into it.

    Args:
        path: Ends in what OpenCV can write: ``.mp4``, ``.avi``, ``.mkv``, ``.mov``.

    Raises:
        OutputError: At once where OpenCV cannot take the name, by ``start`` where the place cannot
            be written to, by later calls where no encoder is there or the disk is full.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        if not fits_opencv(self._path):
            raise OutputError(
                f"The name of {name_of(self._path)} is not UTF-8, and OpenCV cannot write it.",
                mend="Name another place.",
            )
        self._files = contextlib.ExitStack()
        self._temporary = self._path
        self._writer: Any = None
        self._size = (0, 0)
        self._count = 0
        self._fps = 25.0
        self._ended = False
        self._annotator = Annotator(())

    def start(self, info: RunInfo) -> None:
        """Makes sure that the place can be written to."""
        self._temporary = self._files.enter_context(atomic_file(self._path))
        self._fps = min(info.fps, _HIGHEST_FPS)
        self._annotator = Annotator(info.classes)

    def frame(self, result: FrameResult) -> None:
        """Draws and writes a frame."""
        image = self._annotator.draw(result)
        if self._writer is None:
            self._size = (image.shape[0], image.shape[1])
            self._writer = self._open()
        if image.shape[:2] != self._size:
            image = Letterbox.fit((image.shape[0], image.shape[1]), self._size).apply(image)
        self._writer.write(image)
        self._count += 1
        # The encoder does not say when the disk is full.
        if self._count % _CHECK_EVERY == 0 and self._free() < _SPARE_BYTES:
            raise self._disk_full()

    def end(self, summary: RunSummary) -> None:
        """Completes the video and puts it in its place."""
        if self._writer is None:
            return
        self._writer.release()
        if self._free() < _SPARE_BYTES and not self._playable():
            raise self._disk_full()
        if not self._playable():
            raise OutputError(
                f"The video {self._path} could not be completed.",
                mend="Try another ending, for example .avi.",
            )
        self._ended = True

    def close(self) -> None:
        """Removes an incomplete video."""
        if self._writer is not None:
            self._writer.release()
        with contextlib.suppress(_Incomplete), self._files:
            if not self._ended:
                raise _Incomplete

    def _open(self) -> Any:
        height, width = self._size
        for codec in _CODECS.get(self._path.suffix.lower(), _OTHER_CODECS):
            code = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(
                str(self._temporary), file_backend(), code, self._fps, (width, height)
            )
            if writer.isOpened():
                return writer
        mend = "Choose a name that ends in .mp4 or .avi."
        if min(width, height) < _LEAST:
            mend = f"Leave the video out: its pictures would need {_LEAST} pixels a side."
        raise OutputError(
            f"This OpenCV cannot write a video of {width}x{height} pixels to {self._path}.",
            mend=mend,
        )

    def _free(self) -> int:
        return shutil.disk_usage(self._path.parent).free

    def _disk_full(self) -> OutputError:
        return output_error(OSError(errno.ENOSPC, "No space left on device"), self._path)

    def _playable(self) -> bool:
        capture = cv2.VideoCapture(str(self._temporary), file_backend())
        good: bool = capture.isOpened() and capture.read()[0]
        capture.release()
        return good


class _Incomplete(Exception):
    pass
