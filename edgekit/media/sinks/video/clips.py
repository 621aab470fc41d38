"""Writes a short video around each tube."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgekit._checks import as_number, as_whole, check_range, required_path, unless_none
from edgekit._locking import one_at_a_time
from edgekit.errors import OutputError
from edgekit.files.writing import refuse_full, remove_left
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.media.sinks.video._clip import Clip
from edgekit.media.sinks.video._clip_folder import ClipFolder
from edgekit.media.sinks.video._earlier_frames import EarlierFrames
from edgekit.media.sources._frame_clock import FrameClock
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["ClipsSink"]

_LOG = logging.getLogger(__name__)
_MOST = 8
"""Largest number of clips written at once; further tubes get no clip and are counted."""


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
        self._newest = (0.0, 0.0)
        self._earlier = EarlierFrames(before)
        self._clips: dict[int, Clip] = {}
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
        self._folder.check()  # not at the first tube, which may come after days
        remove_left(self._folder.path)
        self._folder.tidy()

    def frame(self, result: FrameResult) -> None:
        """Begins clips for new tubes, adds the frame to all clips, and completes due clips."""
        # A package's source may begin its times again, and a clip would not end before they return.
        now = self._clock.seconds(result.frame.time)
        self._newest = now, time.monotonic()
        result = replace(result, frame=replace(result.frame, time=now))
        self._folder.tidy_in_time()
        shown = {tube.id for tube in result.tubes}
        self._forget_gone(shown)
        for tube in result.tubes:
            if tube.id not in self._clips and tube.id not in self._refused:
                self._begin(tube.id, now)

        def advance(id: int, clip: Clip) -> None:
            if clip.is_due(now):
                self._complete(id, clip)
                return
            if clip.until is None and id not in shown:
                clip.hold(result)
                return
            clip.add(result)
            # Before its first frame, a source of unknown size has no codec.
            self._codec = clip.codec or self._codec

        try:
            self._for_each(advance)
        finally:
            self._earlier.add(result)

    @one_at_a_time
    def idle(self) -> None:
        """Completes due clips of a lost source, which may not come back for days."""
        self._folder.tidy_in_time()
        if self._info is None or self._info.health().connected:
            return
        seen, at = self._newest
        now = seen + time.monotonic() - at
        self._for_each(lambda id, clip: self._complete(id, clip) if clip.is_due(now) else None)

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
        if (clip := self._clips.get(tube.id)) is None:
            return
        try:
            clip.close_with(tube, self._after)
        except OutputError:
            self._give_up(tube.id, clip)
            raise

    def end(self, summary: RunSummary) -> None:
        """Completes the clips of ended tubes; at the end of a run, all tubes have ended."""
        self._for_each(self._complete)

    def reopen(self) -> bool:
        """Returns True: the other clips continue."""
        return True

    def close(self) -> None:
        """Removes incomplete clips."""
        for clip in self._clips.values():
            clip.close()
        self._clips.clear()

    def _for_each(self, step: Callable[[int, Clip], None]) -> None:
        """Takes a step of every clip; gives those up where it fails, and raises the last error."""
        failed: OutputError | None = None
        for id, clip in list(self._clips.items()):
            try:
                step(id, clip)
            except OutputError as error:
                failed = error
                self._give_up(id, clip)
        if failed is not None:
            raise failed

    def _begin(self, id: int, now: float) -> None:
        assert self._info is not None
        if len(self._clips) >= _MOST:
            self._refused.add(id)
            self._lost += 1
            self._note_crowd()
            return
        self._clips[id] = clip = Clip(self._folder, id, self._info, quiet=self._codec is not None)
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

    def _complete(self, id: int, clip: Clip) -> None:
        clip.end()
        self._stored += 1
        self._trouble = None
        del self._clips[id]
        self._folder.add(clip.name)

    def _give_up(self, id: int, clip: Clip) -> None:
        self._clips.pop(id, None)
        clip.close()
        self._refused.add(id)
        self._lost += 1
