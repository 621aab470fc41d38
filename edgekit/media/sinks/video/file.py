"""Writes the annotated video of a run that ends."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from edgekit._checks import as_flag, required_path
from edgekit.errors import OutputError
from edgekit.files.writing import atomic_file
from edgekit.media._opencv import fits_opencv
from edgekit.media.sinks._whole_file import WholeFile
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.media.sinks.video._avi import AviFile
from edgekit.media.sinks.video._canvas import Canvas
from edgekit.media.sinks.video._matroska import MatroskaFile
from edgekit.media.sinks.video._mp4 import Mp4File
from edgekit.media.sinks.video._timed_frames import TimedFrames
from edgekit.media.sinks.video.codecs import FORMATS, Codec
from edgekit.media.sources.source import name_of
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary

__all__ = ["VideoSink", "check_encoder"]


def check_encoder(path: Path, info: RunInfo) -> None:
    """Opens and closes an encoder for a video of a run whose frame size is known.

    Args:
        path: Path of the video; nothing is written there.
        info: Description of the run.

    Raises:
        OutputError: No encoder accepts such frames.
    """
    if (ending := path.suffix.lower()) != ".avi":
        TimedFrames(path, FORMATS[ending], (info.height, info.width), info, quiet=True).close()


@single_run
class VideoSink(Sink):
    """Writes the annotated frames as a video, which appears when the run is over.

    Frames keep their source's times, relative to the first frame, and pixels keep their shape. The
    first frame sets the size; frames of another size are fitted into it, and an odd last row or
    column is repeated. The codec is H.264 (VP9 in ``.webm``) if PyAV is installed, else MPEG-4
    Part 2 (VP8 in ``.webm``), with a warning. ``.avi`` is Motion JPEG with a fixed frame rate.

    Args:
        path: Path ending in ``.mp4``, ``.m4v``, ``.mov``, ``.mkv``, ``.webm`` or ``.avi``.
        quiet: Whether to suppress the warning about codecs that browsers do not play.

    Raises:
        OutputError: The name has another ending (raised at once); the place cannot be written to or
            the frames are too large for a video (raised by ``start``); or the disk is full (raised
            by later calls).
    """

    def __init__(self, path: Path | str, *, quiet: bool = False) -> None:
        self._path = required_path("path", path)
        self._ending = self._path.suffix.lower()
        if self._ending not in FORMATS:
            known = ", ".join(FORMATS)
            raise OutputError(
                f"Expected the name of a video to end in one of {known}; found "
                f"{name_of(self._path)}.",
                hint=f"Name it {name_of(self._path.with_suffix('.mp4'))}",
            )
        if self._ending == ".avi" and not fits_opencv(self._path):
            raise OutputError(
                f"The name of {name_of(self._path)} is not UTF-8, and OpenCV cannot write it.",
                hint="Choose a path that is valid UTF-8.",
            )
        self._quiet = as_flag("quiet", quiet)
        self._files = contextlib.ExitStack()
        self._temporary = self._path
        self._video: AviFile | _PackedFile | None = None
        self._canvas: Canvas | None = None
        self._ended = False

    @property
    def codec(self) -> str | None:
        """Name of the video's codec; None before the first frame or known size."""
        return self._video.codec.name if self._video is not None else None

    @property
    def appears_at_end(self) -> bool:
        """True, because the video gets its name at the end."""
        return True

    def start(self, info: RunInfo) -> None:
        """Checks that the place can be written to and that the video can be encoded."""
        self._temporary = self._files.enter_context(atomic_file(self._path))
        self._canvas = Canvas(info, self._open)

    def bundle(self, change: BundleChange) -> None:
        """Draws the classes of the bundle from now on."""
        assert self._canvas is not None
        self._canvas.name_classes(change.classes)

    def frame(self, result: FrameResult) -> None:
        """Draws and writes a frame."""
        assert self._canvas is not None
        image = self._canvas.draw(result)
        assert self._video is not None
        self._video.frame(image, result.frame.time)

    def end(self, summary: RunSummary) -> None:
        """Completes the video and moves it to its place."""
        if self._video is not None:
            self._ended = self._video.end()

    def close(self) -> None:
        """Removes an incomplete video."""
        self._canvas = None  # It refers to this sink, which would wait for the garbage collector.
        if self._video is not None:
            self._video.close()
        with contextlib.suppress(_IncompleteVideo), self._files:
            if not self._ended:
                raise _IncompleteVideo

    def _open(self, size: tuple[int, int], info: RunInfo) -> None:
        if self._video is not None:
            self._video.close()
        self._video = (
            AviFile(self._temporary, self._path, size, info)
            if self._ending == ".avi"
            else _PackedFile(self._temporary, self._path, size, info, self._quiet)
        )


class _PackedFile:
    """Groups of frames in a container that EdgeKit writes itself."""

    def __init__(
        self, temporary: Path, path: Path, size: tuple[int, int], info: RunInfo, quiet: bool
    ) -> None:
        self._ending = path.suffix.lower()
        self._frames = TimedFrames(path, FORMATS[self._ending], size, info, quiet=quiet)
        self._temporary, self._path = temporary, path
        self._handle: WholeFile | None = None
        self._file: MatroskaFile | Mp4File | None = None
        self._begin = 0.0

    @property
    def codec(self) -> Codec:
        return self._frames.codec

    def frame(self, image: Any, seconds: float) -> None:
        if self._frames.is_due(seconds):
            self._flush()
        self._frames.add(image, seconds)

    def end(self) -> bool:
        if self._frames.waiting:
            self._flush()
        if self._file is None:
            return False
        self._file.end()
        return True

    def close(self) -> None:
        self._frames.close()
        if self._handle is not None:
            self._handle.close()

    def _flush(self) -> None:
        run = self._frames.take()
        if self._file is None:
            self._begin = run.times[0]
            self._handle = WholeFile(self._temporary, name=self._path)
            if self._ending in (".mkv", ".webm"):
                webm = self._ending == ".webm"
                self._file = MatroskaFile(self._handle, run.track, webm=webm)
            else:
                self._file = Mp4File(self._handle, run.track)
        times = [time - self._begin for time in run.times]
        self._file.add(times, run.packets, run.end - self._begin)


class _IncompleteVideo(Exception):
    pass
