"""Writes the annotated video of a live run, which may end at any moment."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from edgekit._checks import as_number, as_whole, required_path, unless_none
from edgekit.errors import OutputError
from edgekit.files.output_paths import refuse_special_file, refuse_unwritable
from edgekit.media.sinks._whole_file import WholeFile, make_room
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.media.sinks.video._canvas import Canvas
from edgekit.media.sinks.video._matroska import MatroskaFile
from edgekit.media.sinks.video._timed_frames import FrameGroup, TimedFrames
from edgekit.media.sinks.video.codecs import FORMATS
from edgekit.media.sources.source import name_of
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary

__all__ = ["LiveVideoSink"]

_LOG = logging.getLogger(__name__)


# Many attributes: its arguments, and the state of the file that is written.
@single_run
class LiveVideoSink(Sink):
    """Writes the annotated frames as a video that can be played while it grows.

    The format is Matroska. Each second of video is encoded, appended to the file as one cluster and
    synced to disk. ``kill -9`` or a power cut therefore costs that second, not the video.

    Frames keep their source's times, relative to the first frame, and pixels keep their shape. The
    first frame sets the size; frames of another size are fitted into it. The codec is H.264 if PyAV
    is installed, else MPEG-4 Part 2, with a warning. An existing video is kept as ``NAME.1.mkv``.

    Args:
        path: Path of the video, ending in ``.mkv``; the file appears with the first cluster.
        rotate: Size in bytes after which a new file begins; None for no limit.
        keep: Number of older files to keep.
        seconds: Length of a cluster in seconds, at most 30.

    Raises:
        OutputError: The name has another ending (raised at once). The place cannot be written to,
            or no encoder is available (raised by ``start``). Writing fails (raised by later calls);
            the frames of the current cluster are lost then, and later calls may succeed.
    """

    def __init__(
        self, path: Path | str, *, rotate: int | None = None, keep: int = 5, seconds: float = 1.0
    ) -> None:
        self._path = required_path("path", path)
        if self._path.suffix.lower() != ".mkv":
            raise OutputError(
                f"The video {name_of(self._path)} of a live source does not end in .mkv: "
                "other formats cannot be played before they are complete.",
                hint=f"Name it {name_of(self._path.with_suffix('.mkv'))}",
            )
        self._rotate = unless_none(as_whole, "rotate", rotate, least=1)
        self._keep = as_whole("keep", keep, least=0)
        self._longest = 1e3 * min(as_number("seconds", seconds, least=0), 30.0)
        self._canvas: Canvas | None = None
        self._frames: TimedFrames | None = None
        self._handle: WholeFile | None = None
        self._file: MatroskaFile | None = None
        self._begin = 0.0
        self._dropped = self._pending = 0
        self._stored = 0

    @property
    def dropped(self) -> int:
        """Number of frames in clusters that could not be written."""
        return self._dropped

    @property
    def pending(self) -> int:
        """Number of frames in the cluster that is not written yet."""
        return self._pending

    @property
    def stored(self) -> int:
        """Number of clusters written."""
        return self._stored

    @property
    def codec(self) -> str | None:
        """Name of the video's codec; None before the first frame or known size."""
        return self._frames.codec.name if self._frames is not None else None

    def start(self, info: RunInfo) -> None:
        """Checks that the place can be written to and that the video can be encoded."""
        refuse_unwritable(self._path)
        refuse_special_file(self._path)
        self._canvas = Canvas(info, self._open)

    def gap(self, gap: Gap) -> None:
        """Writes the current cluster on a reconnect, because the next frame may take long."""
        if gap.reason == "reconnect":
            self._flush()

    def bundle(self, change: BundleChange) -> None:
        """Draws the classes of the bundle from now on."""
        assert self._canvas is not None
        self._canvas.name_classes(change.classes)

    def frame(self, result: FrameResult) -> None:
        """Draws and encodes a frame, and writes a cluster when it is complete."""
        assert self._canvas is not None
        image = self._canvas.draw(result)
        assert self._frames is not None
        if self._frames.is_due(result.frame.time):
            self._flush()
        self._frames.add(image, result.frame.time)
        self._pending += 1

    def end(self, summary: RunSummary) -> None:
        """Writes the last cluster."""
        self._flush()
        self._end_file()

    def reopen(self) -> bool:
        """Returns True without doing anything: every cluster is written independently."""
        return True

    def close(self) -> None:
        """Closes the file."""
        self._canvas = None  # It refers to this sink, which would wait for the garbage collector.
        if self._frames is not None:
            self._frames.close()
        if self._handle is not None:
            self._handle.close()

    def _open(self, size: tuple[int, int], info: RunInfo) -> None:
        if self._frames is not None:
            self._frames.close()
        self._frames = TimedFrames(self._path, FORMATS[".mkv"], size, info, longest=self._longest)

    def _flush(self) -> None:
        if self._frames is None or not self._frames.waiting:
            return
        count = self._frames.waiting
        try:
            self._write(self._frames.take())
        except BaseException:
            self._dropped += count
            raise
        finally:
            self._pending = 0
        self._stored += 1

    def _write(self, run: FrameGroup) -> None:
        if self._handle is not None and self._handle.is_removed():
            _LOG.warning("%s was removed. EdgeKit starts a new video there.", self._path)
            self._end_file()
        if self._handle is None or (self._rotate and self._handle.size >= self._rotate):
            self._next_file(run)
        assert self._file is not None
        assert self._handle is not None
        times = [time - self._begin for time in run.times]
        self._file.add(times, run.packets, run.end - self._begin)
        self._handle.sync()

    def _next_file(self, run: FrameGroup) -> None:
        self._end_file()
        make_room(self._path, self._keep)
        handle = WholeFile(self._path)
        try:
            self._file = MatroskaFile(handle, run.track)
        except BaseException:
            handle.close()
            raise
        self._handle, self._begin = handle, run.times[0]

    def _end_file(self) -> None:
        """Completes and closes the file, if one is open."""
        if self._file is not None and self._handle is not None:
            # A video without its index can still be played.
            with contextlib.suppress(OutputError):
                self._file.end()
            self._handle.close()
        self._file = self._handle = None
