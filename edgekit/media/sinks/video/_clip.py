"""Writes the video and the description of one tube."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone

import msgspec

from edgekit._printable import printable_json
from edgekit.files.output_paths import writing
from edgekit.files.writing import atomic_file
from edgekit.media.sinks.events import SCHEMA, tube_json
from edgekit.media.sinks.video._clip_folder import ClipFolder
from edgekit.media.sinks.video.file import VideoSink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["Clip"]

_LONGEST = 120.0
"""Longest clip in seconds; the rest of a longer tube is not recorded."""

_MOST_TIMES = 1000


# Many attributes: the file of one clip, and the times at which it begins and ends.
class Clip:
    """The video of one tube.

    Args:
        place: Folder of the clips.
        id: Number of the tube.
        info: Facts of the run.
        quiet: Whether the codec is known already, so that no message is needed.

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
        self._held: FrameResult | None = None
        self._times: deque[tuple[int, float]] = deque(maxlen=_MOST_TIMES)
        self.until: float | None = None

    @property
    def codec(self) -> str | None:
        """Name of the codec; None before the first frame."""
        return self._video.codec

    def start(self) -> None:
        """Opens the video."""
        self._video.start(self._info)

    def add(self, result: FrameResult) -> None:
        """Adds a frame, unless the clip is too long already."""
        index, time = result.frame.index, result.frame.time
        self._first = self._first or (index, time)
        self._times.append((index, time))
        if time - self._first[1] > _LONGEST:
            self._cut = True
            return
        self._last = index
        self._video.frame(result)

    def hold(self, result: FrameResult) -> None:
        """Keeps the first frame without the tube until ``close_with`` says when the clip ends.

        In a recording it may come after a hole, which the clip would show as a frozen picture.
        """
        self._held = result

    def bundle(self, change: BundleChange) -> None:
        """Names the classes of another bundle from now on."""
        self._video.bundle(change)

    def is_due(self, now: float) -> bool:
        """Returns whether the clip ends before a time of the source, in seconds."""
        return self.until is not None and now > self.until

    def close_with(self, tube: Tube, after: float) -> None:
        """Stores the ended tube; the clip ends ``after`` seconds after its last box."""
        self._tube = tube
        ends = (time for index, time in reversed(self._times) if index <= tube.end)
        self.until = next(ends, self._times[0][1]) + after
        held, self._held = self._held, None
        if held is not None and not self.is_due(held.frame.time):
            self.add(held)

    def end(self) -> None:
        """Completes the video and its description; removes the video of a live tube."""
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
        """Removes the video, unless it is complete."""
        self._video.close()
