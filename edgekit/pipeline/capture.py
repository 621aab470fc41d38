"""The first half of the pipeline: from the source to the network's input."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgekit.errors import UsageError
from edgekit.pipeline.capture_scheduler import CaptureScheduler
from edgekit.pipeline.detector_slot import DetectorSlot, InstalledDetector
from edgekit.pipeline.reading.frame_reader import FrameReader
from edgekit.pipeline.results import Gap
from edgekit.pipeline.stage_timer import measure
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Array, Frame

__all__ = ["Capture", "Work"]


# Many attributes: what each stage adds to a frame.
@dataclass(slots=True, eq=False)
class Work:
    """A frame on its way through the stages; or, at the end of a source, its missing frames.

    Attributes:
        gaps: Missing frames before this one, and the break before it.
        frame: Frame from the source; None if there is only a gap.
        installed: Detector of the frame; set if there is a frame.
        read: Time at which the frame was captured, or read if unknown, in seconds of
            ``time.monotonic``.
        size: Width and height, if they differ from those of the previous frame.
        ms: Milliseconds of each stage so far.
        inputs: Inputs of the network.
        letterbox: Letterbox that maps the inputs to the picture; set once there are inputs.
        outputs: Outputs of the network.
        age: Milliseconds from ``read`` to the start of the inference.
        error: Error that stopped the frame's processing.
    """

    gaps: list[Gap] = field(default_factory=list)
    frame: Frame | None = None
    installed: InstalledDetector = field(init=False, repr=False)
    read: float = 0.0
    size: tuple[int, int] | None = None
    ms: dict[str, float] = field(default_factory=dict)
    inputs: dict[str, Array] = field(default_factory=dict)
    letterbox: Letterbox = field(init=False, repr=False)
    outputs: dict[str, Array] = field(default_factory=dict)
    age: float | None = None
    error: BaseException | None = None

    def infer(self, scheduler: CaptureScheduler | None = None) -> None:
        """Runs the network; an error is stored, because the gap before it is reported first.

        Args:
            scheduler: Scheduler that has to know when inference begins and ends; None for none.
        """
        with contextlib.nullcontext() if scheduler is None else scheduler.inference():
            self._infer()

    def _infer(self) -> None:
        if self.frame is None or self.error is not None:
            return
        detector = self.installed.detector
        self.age = 1e3 * (time.monotonic() - self.read)
        try:
            with measure(self.ms, "network"):
                self.outputs = detector.infer(self.inputs)
            detector.release(self.inputs)
        except BaseException as error:
            self.error = error
        self.inputs = {}  # lets go of the pictures


class Capture:
    """Takes the frames of a reader through the cascade. An iterator of ``Work``.

    Args:
        reader: Reader that provides the frames.
        slot: Slot with the detector of each frame; only ``prepare`` and ``reset`` of the detector
            are called.
        installed: Detector for which the reader pairs the frames.
        stop: Event that is set when the run is to end.
        duration: Seconds of the source after which to end.
        max_frames: Number of frames after which to end.
        scheduler: Timing of when to take a frame; by default at once.
    """

    def __init__(
        self,
        reader: FrameReader,
        slot: DetectorSlot,
        installed: InstalledDetector,
        stop: threading.Event,
        *,
        duration: float,
        max_frames: float,
        scheduler: CaptureScheduler | None = None,
    ) -> None:
        self._reader = reader
        self._slot = slot
        self._installed = installed
        self._stop = stop
        self._duration = duration
        self._left = max_frames
        self._scheduler = scheduler
        self._next = 0
        self._size: tuple[int, int] | None = None
        self._sample_aspect: float | None = None

    def __iter__(self) -> Capture:
        return self

    def __next__(self) -> Work:
        if self._left <= 0 or self._stop.is_set():
            raise StopIteration
        work = Work()
        if self._scheduler is not None:
            self._scheduler.wait()
        with measure(work.ms, "capture"):
            paired = self._reader.next()
        if paired is None:
            return self._end(self._reader.position, self._reader.skipped)
        frame, work.read = paired.frame, paired.read
        if frame.time >= self._duration:
            return self._end(frame.index, paired.skipped, frame.gap)
        self._left -= 1
        installed = work.installed = self._slot.take(frame)
        if installed is not self._installed:
            frame = self._change_to(installed, frame)
        self._check_continuity(frame, paired.skipped, work)
        work.frame = frame
        try:
            with measure(work.ms, "cascade"):
                work.inputs, work.letterbox = installed.detector.prepare(
                    frame.image, frame.sample_aspect, frame.earlier
                )
            # Nothing else needs the earlier picture, and several frames wait at once.
            work.frame = replace(frame, earlier=None)
        except BaseException as error:
            work.error = error
        if self._scheduler is not None:
            self._scheduler.prepared(work.ms.get("cascade", 0.0) / 1e3)
        return work

    def _change_to(self, installed: InstalledDetector, frame: Frame) -> Frame:
        """Begins with another detector; returns the frame, paired over the time that it needs."""
        before, self._installed = self._installed, installed
        if _interval(installed.recent) == _interval(before.recent):
            installed.recent = before.recent
            return frame
        return self._reader.pair_by(installed.recent, frame)

    def _check_continuity(self, frame: Frame, skipped: Mapping[str, int], work: Work) -> None:
        if frame.index < self._next:
            raise UsageError(
                f"Expected the frames of the source in order, with index {self._next} or higher; "
                f"found {frame.index}.",
                hint="A source counts its frames from 0.",
            )
        lost, work.gaps = self._missing(frame.index, skipped)
        self._next = frame.index + 1
        size = (frame.image.shape[1], frame.image.shape[0])
        resized = self._size is not None and (size, frame.sample_aspect) != (
            self._size,
            self._sample_aspect,
        )
        self._sample_aspect = frame.sample_aspect
        if reason := frame.gap or ("dropped" if lost > 0 else ""):
            work.gaps.append(Gap(frame.index, reason, lost))
        if resized and reason in ("", "dropped"):
            work.gaps.append(Gap(frame.index, "resize", 0))
        # The cascade may hold a picture that is too near in time, or of another source.
        if frame.earlier is None and (work.gaps or self._installed.recent is not None):
            self._installed.detector.reset()
        if resized or self._size is None:
            self._size = work.size = size

    def _missing(self, index: int, skipped: Mapping[str, int]) -> tuple[int, list[Gap]]:
        """Returns the number of lost frames before ``index``, and a gap for each other reason."""
        gaps = [Gap(index, reason, frames) for reason, frames in skipped.items()]
        return index - self._next - sum(skipped.values()), gaps

    def _end(self, position: int, skipped: Mapping[str, int], reason: str = "") -> Work:
        """Returns the gaps before the first frame that does not come or is not processed."""
        self._left = 0
        lost, gaps = self._missing(position, skipped)
        if lost > 0:
            gaps.append(Gap(position, reason or "dropped", lost))
        if self._stop.is_set() or not gaps:
            raise StopIteration
        self._installed.detector.reset()
        return Work(gaps)


def _interval(recent: RecentFrames | None) -> float | None:
    return None if recent is None else recent.interval
