"""Writes a short video around each tube."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edgekit._checks import as_number, as_whole, check_range, required_path, unless_none
from edgekit._printable import printable_json
from edgekit.errors import OutputError
from edgekit.files.output_paths import writing
from edgekit.files.writing import atomic_file, refuse_full, remove_left
from edgekit.media.sinks.events import SCHEMA, tube_json
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.media.sinks.video._clip_folder import ClipFolder
from edgekit.media.sinks.video._earlier_frames import EarlierFrames
from edgekit.media.sinks.video.file import VideoSink
from edgekit.media.sources._frame_clock import FrameClock
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["ClipsSink"]

_LOG = logging.getLogger(__name__)
_MOST = 8
"""Largest number of clips written at once; further tubes get no clip and are counted."""

_LONGEST = 120.0
"""Longest clip in seconds; the rest of a longer tube is not recorded."""

_MOST_TIMES = 1000


# Many attributes: its arguments, the clips being written, and what the run asks about them.
@single_run
class ClipsSink(Sink):
    """Writes an annotated video for each shown tube, and a JSON file that describes the tube.

    A clip begins some seconds before its tube is shown and ends some seconds after its last box.
    Earlier frames are kept in memory as JPEG, in at most 256 MiB.

    Args:
        folder: Folder, created if missing; gets ``TIME-ID.mp4`` and ``.json`` for each ended tube.
        before: Seconds to record before the tube is shown.
        after: Seconds to record after the tube's last box.
        most_bytes: Largest total size of all clips in bytes; the oldest are removed. None for no
            limit.
        most_seconds: Largest age of a clip in seconds; None for no limit.

    Raises:
        OutputError: The folder cannot be written; ``start`` and later calls raise it. The affected
            clip is abandoned.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        before: float = 2.0,
        after: float = 2.0,
        most_bytes: int | None = None,
        most_seconds: float | None = None,
    ) -> None:
        check_range("before", as_number("before", before), 0, 30)
        self._folder = ClipFolder(
            required_path("folder", folder),
            most_bytes=unless_none(as_whole, "most_bytes", most_bytes, least=1),
            most_seconds=unless_none(as_number, "most_seconds", most_seconds, least=0),
        )
        self._after = as_number("after", after, least=0)
        self._info: RunInfo | None = None
        self._clock = FrameClock(1.0)
        self._earlier = EarlierFrames(before)
        self._clips: dict[int, _Clip] = {}
        self._refused: set[int] = set()
        self._gone: set[int] = set()
        self._lost = self._stored = 0
        self._codec: str | None = None
        self._trouble: str | None = None
        self._has_warned = False

    @property
    def trouble(self) -> str | None:
        """Reason why a tube got no clip, until the next clip is complete."""
        return self._trouble

    @property
    def dropped(self) -> int:
        """Number of tubes without a clip."""
        return self._lost

    @property
    def stored(self) -> int:
        """Number of completed clips."""
        return self._stored

    @property
    def codec(self) -> str | None:
        """Name of the codec of the newest clip."""
        return self._codec

    def check(self) -> None:
        """Raises ``OutputError`` if the folder cannot be created or written to."""
        self._folder.check()
        refuse_full(self._folder.path)

    def start(self, info: RunInfo) -> None:
        """Creates the folder."""
        self._info, self._clock = info, FrameClock(info.fps)
        self._folder.make()
        remove_left(self._folder.path)
        self._folder.tidy()

    def frame(self, result: FrameResult) -> None:
        """Begins clips for new tubes, adds the frame to all clips, and completes due clips."""
        # A package's source may begin its times again, and a clip would not end before they return.
        now = self._clock.seconds(result.frame.time)
        result = replace(result, frame=replace(result.frame, time=now))
        self._folder.tidy_in_time()
        self._forget_gone({tube.id for tube in result.tubes})
        for tube in result.tubes:
            if tube.id not in self._clips and tube.id not in self._refused:
                self._begin(tube.id, now)
        failed: OutputError | None = None
        for id, clip in list(self._clips.items()):
            try:
                if clip.until is not None and now > clip.until:
                    self._complete(id, clip)
                else:
                    clip.add(result)
                    # Before its first frame, a source of unknown size has no codec.
                    self._codec = clip.codec or self._codec
            except OutputError as error:
                failed = error
                self._give_up(id, clip)
        self._earlier.add(result)
        if failed is not None:
            raise failed

    def bundle(self, change: BundleChange) -> None:
        """Names the classes of the bundle in all clips from now on."""
        assert self._info is not None
        if change.classes == self._info.classes:
            return
        self._info = replace(self._info, classes=change.classes)
        self._earlier.forget_tubes()
        for clip in self._clips.values():
            clip.bundle(change)

    def tube(self, tube: Tube) -> None:
        """Stores the ended tube, and the time at which its clip ends."""
        if tube.id in self._clips:
            self._clips[tube.id].close_with(tube, self._after)

    def end(self, summary: RunSummary) -> None:
        """Completes the clips of ended tubes; at the end of a run, all tubes have ended."""
        failed: OutputError | None = None
        for id, clip in list(self._clips.items()):
            try:
                self._complete(id, clip)
            except OutputError as error:
                failed = error
                self._give_up(id, clip)
        if failed is not None:
            raise failed

    def reopen(self) -> bool:
        """Returns True: the other clips continue."""
        return True

    def close(self) -> None:
        """Removes incomplete clips."""
        for clip in self._clips.values():
            clip.close()
        self._clips.clear()

    def _begin(self, id: int, now: float) -> None:
        assert self._info is not None
        if len(self._clips) >= _MOST:
            self._refused.add(id)
            self._lost += 1
            self._note_crowd()
            return
        self._clips[id] = clip = _Clip(self._folder, id, self._info, quiet=self._codec is not None)
        try:
            self._folder.make()  # somebody may have removed it
            clip.start()
            self._codec = clip.codec or self._codec
            for result in self._earlier.before(now):
                clip.add(result)
        except OutputError:
            self._give_up(id, clip)
            raise

    def _forget_gone(self, shown: set[int]) -> None:
        """Gives up clips whose tube is gone: while the disk was slow, the tube's end was lost."""
        self._refused &= shown
        gone = {id for id, clip in self._clips.items() if clip.until is None} - shown
        # The end of a tube is reported after the first frame without it.
        for id in gone & self._gone:
            self._give_up(id, self._clips[id])
        self._gone = gone

    def _note_crowd(self) -> None:
        level = logging.INFO if self._has_warned else logging.WARNING
        self._has_warned = True
        self._trouble = f"More than {_MOST} tubes were live at once, and only {_MOST} got a clip."
        _LOG.log(level, "clips: %s", self._trouble)

    def _complete(self, id: int, clip: _Clip) -> None:
        clip.end()
        self._stored += 1
        self._trouble = None
        del self._clips[id]
        self._folder.add(clip.name)

    def _give_up(self, id: int, clip: _Clip) -> None:
        self._clips.pop(id, None)
        clip.close()
        self._refused.add(id)
        self._lost += 1


# Many attributes: the file of one clip, and the times at which it begins and ends.
class _Clip:
    """The video of one tube.

    Attributes:
        name: Name of its files, without their endings.
        until: Source time in seconds at which the clip ends; None while its tube is live.
    """

    def __init__(self, place: ClipFolder, id: int, info: RunInfo, *, quiet: bool) -> None:
        self._began = datetime.now(timezone.utc)
        self.name = place.free_name(f"{self._began:%Y%m%dT%H%M%S}-{id}")
        self._info = info
        self._folder = folder = place.path
        self._video = VideoSink(folder / f"{self.name}.mp4", quiet=quiet)
        # Without the frames themselves, whose pictures would stay in memory.
        self._first: tuple[int, float] | None = None
        self._last = 0
        self._tube: Tube | None = None
        self._cut = False
        self._times: deque[tuple[int, float]] = deque(maxlen=_MOST_TIMES)
        self.until: float | None = None

    @property
    def codec(self) -> str | None:
        return self._video.codec

    def start(self) -> None:
        self._video.start(self._info)

    def add(self, result: FrameResult) -> None:
        index, time = result.frame.index, result.frame.time
        self._first = self._first or (index, time)
        self._times.append((index, time))
        if time - self._first[1] > _LONGEST:
            self._cut = True
            return
        self._last = index
        self._video.frame(result)

    def bundle(self, change: BundleChange) -> None:
        self._video.bundle(change)

    def close_with(self, tube: Tube, after: float) -> None:
        self._tube = tube
        ends = (time for index, time in reversed(self._times) if index <= tube.end)
        self.until = next(ends, self._times[0][1]) + after

    def end(self) -> None:
        if self._tube is None or self._first is None:
            self.close()
            return
        about = {
            "schema": SCHEMA,
            "source": self._info.source,
            "time": self._began.isoformat(timespec="milliseconds"),
            "video": f"{self.name}.mp4",
            "first": self._first[0],
            "last": self._last,
            "cut": self._cut,
            "class": self._info.classes[self._tube.label],
            "tube": tube_json(self._tube),
        }
        # On a full disk, a video without its description would stay, and count as lost.
        with atomic_file(self._folder / f"{self.name}.json") as path, writing(path):
            path.write_bytes(printable_json(msgspec.json.format(msgspec.json.encode(about))))
            self._video.end(RunSummary(self._last - self._first[0] + 1, 0, 0.0, {}))
            self._video.close()

    def close(self) -> None:
        self._video.close()
