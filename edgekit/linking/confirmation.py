"""Decides which tubes count, and gives them their ids and scores: one rule for all outputs.

A linker follows every detection, and most of them are noise: on a clip with one actor it has dozens
of tubes with scores near 0. A tube is *confirmed* in the first frame in which it has enough
detections and a score of at least the threshold. It stays confirmed until it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from edgekit._checks import as_instance, as_number, as_whole
from edgekit.errors import UsageError
from edgekit.linking.published import LinkUpdate, LiveTube, TubeLinker
from edgekit.linking.tracker import OnlineLinker
from edgekit.runtime.types import Detections, Tube

__all__ = ["MIN_HITS", "SCORE", "ConfirmedLinker", "check_classes"]

SCORE = 0.3
MIN_HITS = 3


class ConfirmedLinker:
    """Returns the confirmed tubes of a linker and omits the others.

    Confirmed tubes are numbered from 0 in the order of their confirmation. The score of a tube is
    the highest value of its live score since it had enough detections. It is therefore never below
    the threshold that confirmed the tube, and never falls. The tube ends with the score of its last
    frame.

    If the class of a live tube changes, the tube takes the new class once that class's score
    reaches the threshold. It has that score from then on.

    Args:
        linker: New linker, which no other code calls.
        score: Smallest score of tubes that count.
        min_hits: Smallest number of detections of tubes that count.
        min_length: Number of entries that a tube must exceed to count; None is ``min_hits`` - 1.
        renew: Function that makes a linker like this one for a number of classes; only
            ``change_classes`` needs it.

    Attributes:
        linker: Linker of all tubes, for a caller that wants them instead of the confirmed ones.
    """

    def __init__(
        self,
        linker: OnlineLinker | TubeLinker,
        *,
        score: float = SCORE,
        min_hits: int = MIN_HITS,
        min_length: int | None = None,
        renew: Callable[[int], OnlineLinker | TubeLinker] | None = None,
    ) -> None:
        self.linker = linker
        self._renew = renew
        self._min_length = min_length
        self._next = 0
        self._known: dict[int, _Confirmed] = {}
        linker.min_length = min_hits - 1 if min_length is None else min_length
        self.count_from(score=score, min_hits=min_hits)

    def count_from(self, *, score: float, min_hits: int) -> None:
        """Changes the thresholds from the next frame on; may be called from any thread.

        Tubes that are already confirmed keep their number and score.

        Raises:
            UsageError: A threshold has a wrong type or is out of range.
        """
        score = as_number("score", score, least=0)
        min_hits = as_whole("min_hits", min_hits, least=1)
        if self._min_length is None:
            # Not raised again: tubes that were confirmed with fewer detections must also be
            # reported.
            self.linker.min_length = min(self.linker.min_length, min_hits - 1)
        # A tube that the linker will drop at its end must not be confirmed before.
        self._score, self._hits = score, max(min_hits, (self._min_length or 0) + 1)

    def update(self, detections: Detections, time: float | None = None) -> LinkUpdate:
        """Processes the next frame.

        Args:
            detections: Detections: boxes (n, 4) and scores (n, C), scores not below 0.
            time: Time of the frame in its source, in seconds; None assumes 25 frames per second.

        Returns:
            The confirmed tubes that are alive, and those that ended.

        Raises:
            UsageError: The detections have another number of classes.
        """
        check_classes(detections, self.linker.classes)
        update = self.linker.update(detections, time)
        return LinkUpdate(self._live(update.live), self._ended(update.closed))

    def skip(self, frames: int) -> list[Tube]:
        """Skips ``frames`` unprocessed frames; returns confirmed tubes that end."""
        return self._ended(self.linker.skip(frames))

    def hold(self, frames: int) -> list[Tube]:
        """Skips ``frames`` frames without motion; returns confirmed tubes that end.

        EdgeKit's linker holds confirmed tubes, and others whose score reaches the threshold. The
        remaining ones are mostly noise, and end: otherwise they would take the detections of the
        next actor, whose score would then stay low. The other linkers cannot hold tubes, and count
        misses.
        """
        if not isinstance(self.linker, OnlineLinker):
            return self.skip(frames)
        live = self.linker.live_tubes()
        keep = {tube.id for tube in live if tube.id in self._known or tube.score >= self._score}
        return self._ended(self.linker.hold(frames, keep))

    def wait(self, seconds: float, fps: float) -> list[Tube]:
        """Ends all tubes if no frame came for longer than any of them can survive.

        Args:
            seconds: Seconds since the source was lost.
            fps: Frames per second of the source.

        Returns:
            The confirmed tubes that end.
        """
        return self.finish() if seconds > self.linker.longest_pause(fps) else []

    def resize(self, frame_size: tuple[int, int]) -> list[Tube]:
        """Ends all tubes, and continues in frames of another width and height."""
        return self._ended(self.linker.resize(frame_size))

    def change_classes(self, classes: int, frame: int, frame_size: tuple[int, int]) -> list[Tube]:
        """Ends all tubes, and continues with other classes; the numbers of tubes go on.

        Args:
            classes: Number of classes from now on.
            frame: Index of the next frame.
            frame_size: Width and height of the frames in pixels.
        """
        assert self._renew is not None, "make_linker gives it"
        ended = self.finish()
        self._known.clear()  # the new linker numbers its tubes from 0 again
        linker = self._renew(classes)
        linker.min_length = self.linker.min_length
        linker.skip(frame)
        linker.resize(frame_size)
        self.linker = linker
        return ended

    def finish(self) -> list[Tube]:
        """Ends all tubes; returns the confirmed ones."""
        return self._ended(self.linker.finish())

    def _live(self, tubes: Iterable[LiveTube]) -> list[LiveTube]:
        shown = []
        for tube in tubes:
            known = self._known.get(tube.id)
            if known is None:
                if tube.hits < self._hits or tube.score < self._score:
                    continue
                known = self._known[tube.id] = _Confirmed(self._next, tube)
                self._next += 1
            shown.append(known.seen(tube, self._score))
        return shown

    def _ended(self, tubes: Iterable[Tube]) -> list[Tube]:
        # One live tube can end as several, best first: one for each class and stretch of time.
        ended: dict[int, Tube] = {}
        for tube in tubes:
            id = tube.id if tube.track is None else tube.track
            known = self._known.get(id)
            if known is None:
                continue
            before = ended.get(id)
            if before is None or (before.label != known.label == tube.label):
                ended[id] = tube
        return [self._known.pop(id).ended(tube) for id, tube in ended.items()]


class _Confirmed:
    """Public values of a confirmed tube: its number, its class, and its best score per class."""

    __slots__ = ("best", "label", "number")

    def __init__(self, number: int, tube: LiveTube) -> None:
        self.number = number
        self.label = tube.label
        self.best = {tube.label: tube.score}

    def seen(self, tube: LiveTube, threshold: float) -> LiveTube:
        label = tube.label
        best = self.best[label] = max(self.best.get(label, 0.0), tube.score)
        if label != self.label and best >= threshold:
            self.label = label
        return tube._replace(id=self.number, label=self.label, score=self.best[self.label])

    def ended(self, tube: Tube) -> Tube:
        # The class that was shown, even if the linker has dropped all its stretches as too short.
        score = self.best[self.label]
        return replace(tube, id=self.number, label=self.label, score=score, track=None)


def check_classes(detections: Detections, classes: int) -> None:
    """Checks that an argument is detections with scores of some number of classes.

    Raises:
        UsageError: It is something else, or has another number of classes.
    """
    found = as_instance("detections", detections, Detections, "edgekit.Detections").scores.shape[1]
    if found != classes:
        raise UsageError(
            f"Expected scores of {classes} classes; found {found}.",
            hint="Make the tracker for the detector's classes: Tracker(link, detector.classes)",
        )
