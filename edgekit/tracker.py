"""Links detections into tubes, for a program with its own loop over frames."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgekit._checks import as_number, as_size, as_whole, is_whole, unless_none
from edgekit.errors import UsageError
from edgekit.linking.confirmation import MIN_HITS, SCORE, ConfirmedLinker, check_classes
from edgekit.linking.registry import make_linker
from edgekit.linking.tubes import Tubes
from edgekit.runtime.rows import checked_names
from edgekit.runtime.types import Detections, Tube

__all__ = ["Tracker"]


class Tracker:
    """Links the detections of consecutive frames of one source into tubes.

        tracker = Tracker("edgekit", detector.classes)
        for frame in source:
            tubes = tracker.update(detector.detect(frame.image), frame.time, index=frame.index)
            ...  # tubes: those in this frame; tubes.closed: those that ended
        tubes = tracker.finish()  # those that were alive at the end

    From the same detections it gives the same tubes as ``edgekit run`` with the same options.
    Several threads may call it; it processes their frames one after the other.

    Args:
        link: Name of the linker: ``edgekit``, ``road``, ``korsal-hold`` or ``korsal-motion``.
        classes: Class names, by class index, or the number of classes.
        score: Smallest score of tubes that count.
        min_hits: Smallest number of detections of tubes that count.
        cost: Preference of paths in a published linker: ``score``, ``similarity`` or
            ``score-plus-similarity``.
        max_misses: Number of consecutive frames without a detection after which a tube ends. None
            uses the linker's default: 30 for ``edgekit``, 5 for the others.
        max_gap: Seconds without a detection after which a tube ends; replaces ``max_misses``; for
            ``edgekit`` only.
        min_length: Number of entries that a tube must exceed to be kept; None is ``min_hits`` - 1.
        delay: Number of later frames that refine the boxes of finished tubes; for ``edgekit`` only.
        delay_seconds: Seconds of later frames that refine the boxes of finished tubes; replaces
            ``delay``; for ``edgekit`` only.
        frame_size: Width and height in pixels, the limits of ``korsal-motion``.
        history: Number of its newest frames that a tube remembers; None for all. A source without
            an end needs a limit.

    Attributes:
        classes: Class names, by class index; empty if only their number was given.
        linker: Linker without the checks of this class.

    Raises:
        UsageError: There is no such linker, or an argument has a wrong type, is out of range or
            does not apply to the linker.
    """

    def __init__(
        self,
        link: str,
        classes: Sequence[str] | int,
        *,
        score: float = SCORE,
        min_hits: int = MIN_HITS,
        cost: str = "score",
        max_misses: int | None = None,
        max_gap: float | None = None,
        min_length: int | None = None,
        delay: int = 0,
        delay_seconds: float | None = None,
        frame_size: tuple[int, int] = (320, 240),
        history: int | None = None,
    ) -> None:
        self.classes, self._count = _classes(classes)
        self.linker: ConfirmedLinker = make_linker(
            link,
            self._count,
            score=score,
            min_hits=min_hits,
            cost=cost,
            max_misses=max_misses,
            max_gap=max_gap,
            min_length=min_length,
            delay=delay,
            delay_seconds=delay_seconds,
            frame_size=frame_size,
            history=history,
        )
        self._lock = threading.Lock()
        self._next = 0
        self._time = -math.inf
        self._finished = False

    def update(
        self, detections: Detections, time: float | None = None, *, index: int | None = None
    ) -> Tubes:
        """Processes the next frame, and returns its tubes.

        Args:
            detections: Detections in the frame, from ``Detector.detect`` or another detector.
            time: Time of the frame in its source, in seconds; None assumes 25 frames per second.
            index: Index of the frame in its source, from 0. If it is above the next index, the
                frames in between count as not processed. None is the next index.

        Returns:
            The tubes that count and are alive in this frame; ``closed`` has those that ended.

        Raises:
            UsageError: The frame comes before the previous one, the detections have another number
                of classes or a value that is no score or no pixel, or the tracker has finished.
        """
        self._check_detections(detections)
        seconds = unless_none(as_number, "time", time)
        position = unless_none(as_whole, "index", index, least=0)
        with self._lock:
            self._check_running()
            position = self._next if position is None else position
            if position < self._next:
                raise _disorder(f"with index {self._next} or higher; found {position}")
            if seconds is not None and seconds < self._time:
                raise _disorder(f"at {self._time:g} seconds or later; found {seconds:g}")
            closed = self.linker.skip(position - self._next) if position > self._next else []
            update = self.linker.update(detections, seconds)
            self._next = position + 1
            self._time = self._time if seconds is None else seconds
        return Tubes(update.live, self.classes, self._named([*closed, *update.closed]))

    def skip(self, frames: int) -> list[Tube]:
        """Counts frames that were not processed; they are not misses.

        Args:
            frames: Number of these frames.

        Returns:
            The tubes that ended because the pause was too long.

        Raises:
            UsageError: ``frames`` is no number of frames, or the tracker has finished.
        """
        return self._pass(frames, self.linker.skip)

    def hold(self, frames: int) -> list[Tube]:
        """Counts frames that were not processed because nothing moved in them.

        No time passes for the tubes of ``edgekit``. The other linkers count misses.

        Args:
            frames: Number of these frames.

        Returns:
            The tubes that ended.

        Raises:
            UsageError: ``frames`` is no number of frames, or the tracker has finished.
        """
        return self._pass(frames, self.linker.hold)

    def resize(self, frame_size: tuple[int, int]) -> list[Tube]:
        """Ends all tubes, and continues in frames of another size.

        Args:
            frame_size: Width and height of the next frame, in pixels.

        Returns:
            The tubes that ended.

        Raises:
            UsageError: ``frame_size`` is no width and height, or the tracker has finished.
        """
        new_size = as_size("frame_size", frame_size)
        with self._lock:
            self._check_running()
            return self._named(self.linker.resize(new_size))

    def hand_over(self, classes: int) -> ConfirmedLinker:
        """Returns the linker to a pipeline, and takes no more frames itself.

        Args:
            classes: Number of the detector's classes.

        Raises:
            UsageError: The tracker has another number of classes, or has finished.
        """
        with self._lock:
            self._check_running()
            check_classes(Detections.empty(classes), self._count)
            self._finished = True
        return self.linker

    def finish(self) -> list[Tube]:
        """Ends all tubes and returns them; the tracker takes no more frames."""
        with self._lock:
            self._finished = True
            return self._named(self.linker.finish())

    def _pass(self, frames: int, step: Callable[[int], list[Tube]]) -> list[Tube]:
        count = as_whole("frames", frames, least=0)
        with self._lock:
            self._check_running()
            self._next += count
            return self._named(step(count))

    def _check_running(self) -> None:
        if self._finished:
            raise UsageError(
                "This tracker has finished and accepts no more frames.",
                hint="Use a new tracker for another source.",
            )

    def _check_detections(self, detections: Detections) -> None:
        check_classes(detections, self._count)
        boxes, scores = detections.boxes, detections.scores
        if not len(boxes):
            return
        if not np.isfinite(boxes).all():
            raise UsageError("Expected finite boxes; found a box that is infinite or NaN.")
        least, most = float(scores.min()), float(scores.max())
        if not (least >= 0 and most < math.inf):
            found = least if not least >= 0 else most
            raise UsageError(f"Expected scores from 0 to 1; found {found:g}.")

    def _named(self, tubes: list[Tube]) -> list[Tube]:
        if not self.classes:
            return tubes
        return [replace(tube, name=self.classes[tube.label]) for tube in tubes]


def _disorder(words: str) -> UsageError:
    return UsageError(
        f"Expected frames in order, {words}.",
        hint="Use a tracker for each source, and feed it frame after frame.",
    )


def _classes(classes: object) -> tuple[tuple[str, ...], int]:
    if is_whole(classes):
        return (), as_whole("classes", classes, least=1)
    names = checked_names(classes)
    if not names:
        raise UsageError("Expected at least one class; found none.")
    return names, len(names)
