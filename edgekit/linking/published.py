"""Links detections frame by frame into paths: the three published linkers in one class.

A path is a tube before it is trimmed. All three linkers are from KORSAL's ``online-tubes``.
``road`` is KORSAL's edit of the linker of ROAD (Singh et al., ICCV 2017, section 3.3), and not
ROAD's own code. If a path missed frames, ROAD's own code fills the gap with the later box and ends
a path after 3 misses. This one fills it with the earlier box and ends a path after 5.
``korsal-hold`` and ``korsal-motion`` are KORSAL's own. The three differ in the effect of a missed
frame on a path: none, its last box is repeated, or the box moves by its last motion. The linker
works in the coordinates of the given boxes. Like the published code it includes a box's last pixel
(width = x2 - x1 + 1) when it compares boxes of two frames.

All paths of all classes are in one structured array, ordered by class and then by rank. A frame
therefore costs a fixed number of numpy calls for any number of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from edgekit._checks import check_choice, check_range
from edgekit._parameters import parameter
from edgekit.linking._association import (
    Found,
    edge_before,
    edge_scores,
    overlapping,
    take_best,
    take_first,
)
from edgekit.linking._path_table import extrapolated, path_type, rerank, stacked
from edgekit.linking.choices import COSTS, PUBLISHED
from edgekit.linking.paths import Entry, LinkedPath, Trail
from edgekit.runtime.selection import LINKING, SelectionRule, select
from edgekit.runtime.types import Array, Detections, Tube

__all__ = ["LinkUpdate", "LiveTube", "TubeLinker"]

_MOST_MISSES = 100_000
"""Over an hour. A path keeps a score for each of them."""


class LiveTube(NamedTuple):
    """A tube in the current frame.

    Attributes:
        id: Id that is unique within one linker, in order of birth.
        label: Class index.
        score: Confidence so far: in published linkers the mean of the tube's ``max_misses + 1``
            highest scores, in ``edgekit`` a mean in which older scores fade.
        box: Box ``[x1, y1, x2, y2]`` in this frame.
        age: Number of frames since the last detection; 0 if the box is a detection.
        start: First frame.
        hits: Number of detections so far.
    """

    id: int
    label: int
    score: float
    box: list[float]
    age: int
    start: int
    hits: int

    @property
    def observed(self) -> bool:
        """Whether the box is a detection of this frame."""
        return self.age == 0


@dataclass(frozen=True, slots=True)
class LinkUpdate:
    """Effect of one frame on the tubes.

    Attributes:
        live: Tubes that are alive after the frame, in the linker's order.
        closed: Tubes that ended with it and are long enough to count.
    """

    live: list[LiveTube]
    closed: Sequence[Tube]


# Many attributes: its arguments, and the state of one stream.
class TubeLinker:
    """Links the detections of consecutive frames into tubes, separately for each class.

    In every frame, the paths of a class choose in order of rank. Each chooses among the boxes that
    overlap its last box and that no better path took. Remaining boxes start paths; a path without a
    box for ``max_misses`` frames ends. The rank is the mean of a path's ``max_misses + 1`` highest
    scores. The linker keeps only live paths: ended ones are returned and forgotten.

    Args:
        classes: Number of classes, C.
        link: Name of the linker, one of ``PUBLISHED``.
        cost: Preference of a path, one of ``COSTS``: the box's class score; 1 minus the distance of
            the two boxes' score vectors; or the sum of both.
        iou_threshold: Smallest IoU with which a box can continue a path.
        max_misses: Number of consecutive frames without a box after which a path ends, at least 1.
        min_length: Number of entries that a path must exceed to be kept. With ``road`` only
            detections are entries, with the others missed frames are too.
        frame_size: Width and height in pixels, the limits of ``korsal-motion``.
        rule: Rule for selecting the boxes of a class.
        history: Number of frames up to its last entry that a path remembers and returns; None for
            all. It bounds the memory of an endless stream.

    Attributes:
        classes: Number of classes, C.
        min_length: Number of entries that a path must exceed; it may be changed.

    Raises:
        UsageError: ``link``, ``cost`` or ``max_misses`` is not one of the possible values.
    """

    def __init__(
        self,
        classes: int,
        *,
        link: str = "road",
        cost: str = "score",
        iou_threshold: float = 0.1,
        max_misses: int = 5,
        min_length: int = 5,
        frame_size: tuple[int, int] = (320, 240),
        rule: SelectionRule = LINKING,
        history: int | None = None,
    ) -> None:
        for name, value, choices in (("link", link, PUBLISHED), ("cost", cost, COSTS)):
            check_choice(name, value, choices, hint=f"For example: {parameter(name, choices[0])}")
        check_range("max_misses", max_misses, 1, _MOST_MISSES)
        self.link = link
        self.classes = classes
        self._cost = cost
        self._iou_threshold = iou_threshold
        self._max_misses = max_misses
        self.min_length = min_length
        self._limits = np.array([*frame_size, *frame_size], np.float64)
        self._rule = rule
        self._history = history
        self._frame = 0
        self._next_id = 0
        self._live = np.zeros(0, path_type(max_misses + 1))
        self._trails: list[Trail] = []

    def update(self, detections: Detections, time: float | None = None) -> LinkUpdate:
        """Processes the next frame; see ``advance``. The linker ignores ``time``."""
        closed = self.advance(detections)
        return LinkUpdate(self._live_tubes(), closed)

    def advance(
        self, detections: Detections, picks: Sequence[Sequence[int]] | None = None
    ) -> list[LinkedPath]:
        """Processes the next frame; returns the paths that end with it.

        Args:
            detections: Detections: boxes (n, 4) and scores (n, C), scores not below 0.
            picks: Boxes that count for each class, best first, if the caller has selected them; by
                default ``select`` does it.
        """
        if picks is None:
            picks = select(detections, self._rule)
        return self._step(Found(detections, picks, self._frame))

    def skip(self, frames: int) -> list[LinkedPath]:
        """Counts ``frames`` lost frames as misses of every path; returns the tubes that end."""
        closed: list[LinkedPath] = []
        nothing = Detections.empty(self.classes)
        steps = min(frames, self._max_misses)
        for _ in range(steps):
            closed += self._step(Found(nothing, [[]] * self.classes, self._frame))
        self._frame += frames - steps
        return closed

    def longest_pause(self, fps: float) -> float:
        """Returns the largest number of seconds without a frame that a path can survive.

        Args:
            fps: Frames per second of the source.
        """
        return (self._max_misses + 1) / fps

    def finish(self) -> list[LinkedPath]:
        """Ends all live paths; returns those long enough, by class and then by rank."""
        live, self._live = self._live, self._live[:0]
        trails, self._trails = self._trails, []
        return self._close(live, trails)

    def resize(self, frame_size: tuple[int, int]) -> list[LinkedPath]:
        """Ends all paths, as ``finish`` does, and continues in frames of another size."""
        self._limits = np.array([*frame_size, *frame_size], np.float64)
        return self.finish()

    def _step(self, found: Found) -> list[LinkedPath]:
        live = self._live
        partner, edge, used = self._match(live, found)
        self._advance(live, found, partner, edge)
        born, born_trails = self._births(found, np.flatnonzero(used == 0))
        self._frame += 1
        every = stacked(live, born)
        trails = self._trails + born_trails
        # New paths rank behind all others, in the order of their boxes.
        rank = -every["score"]
        rank[len(live) :] = np.inf
        order = np.lexsort((rank, every["label"]))
        ended = every["misses"][order] >= self._max_misses
        stay = order[~ended]
        self._live = every.take(stay)
        self._trails = [trails[i] for i in stay.tolist()]
        if not ended.any():
            return []
        gone = order[ended]
        return self._close(every.take(gone), [trails[i] for i in gone.tolist()])

    def _match(self, live: Array, found: Found) -> tuple[Array, Array, Array]:
        """Assigns detections to paths.

        Returns:
            The index into ``found`` or -1 for each path, the edge score of that choice for each
            path, and 1 for each taken detection.
        """
        paths, detections = overlapping(live["box"], live["label"], found, self._iou_threshold)
        last = (self._trails[path].entries[-1][3] for path in paths.tolist())
        values = edge_scores(self._cost, found, detections, last)
        used = bytearray(len(found.label))
        take = take_first if self._cost == "score" else take_best
        edges = zip(paths.tolist(), detections.tolist(), values.tolist(), strict=True)
        partner, edge = take(edges, len(live), used)
        return np.array(partner, np.intp), np.array(edge), np.frombuffer(used, np.uint8)

    def _advance(self, live: Array, found: Found, partner: Array, edge: Array) -> None:
        """Appends this frame to the paths, in place."""
        hit = partner >= 0
        hits, misses = np.flatnonzero(hit), np.flatnonzero(~hit)
        taken = partner[hits]
        moved = found.boxes[taken]
        if self.link == "korsal-motion":
            guess = extrapolated(live.take(misses), self._limits)
            live["previous"] = live["box"]
            live["box"][misses] = guess
        live["box"][hits] = moved
        live["last"][hits] = found.score[taken]
        live["misses"] += 1
        live["misses"][hits] = 0
        live["hits"] += hit
        live["path_score"] += edge
        if self.link == "road":
            grown = hits
        else:
            grown = np.arange(len(live))
            live["path_score"][misses] += edge_before(live["label"], hit, edge)[misses]
        self._append(live, found.entries, hits, taken, misses)
        rerank(live, grown)

    def _append(
        self, live: Array, entries: list[Entry], hits: Array, taken: Array, misses: Array
    ) -> None:
        trails = self._trails
        for path, detection in zip(hits.tolist(), taken.tolist(), strict=True):
            trails[path].entries.append(entries[detection])
        if self.link == "road":
            return
        for path, box in zip(misses.tolist(), live["box"][misses].tolist(), strict=True):
            _, score, _, class_scores, _ = trails[path].entries[-1]
            trails[path].entries.append((self._frame, score, box, class_scores, False))

    def _births(self, found: Found, free: Array) -> tuple[Array, list[Trail]]:
        born = np.zeros(len(free), self._live.dtype)
        score = found.score[free]
        born["id"] = np.arange(self._next_id, self._next_id + len(free))
        born["label"] = found.label[free]
        born["start"] = self._frame
        born["count"] = born["hits"] = 1
        born["score"] = born["last"] = born["path_score"] = born["best"][:, -1] = score
        born["box"] = found.boxes[free]
        trails = [
            Trail(self._next_id + i, int(found.label[d]), found.entries[d], self._history)
            for i, d in enumerate(free.tolist())
        ]
        self._next_id += len(free)
        return born, trails

    def _close(self, paths: Array, trails: Sequence[Trail]) -> list[LinkedPath]:
        fields = (paths[name].tolist() for name in ("count", "path_score", "misses"))
        return [
            trail.close(path_score, misses)
            for trail, count, path_score, misses in zip(trails, *fields, strict=True)
            if count > self.min_length
        ]

    def _live_tubes(self) -> list[LiveTube]:
        columns = (self._live[name].tolist() for name in _LIVE_FIELDS)
        return list(map(_LIVE_TUBE, zip(*columns, strict=True)))


_LIVE_TUBE = partial(tuple.__new__, LiveTube)  # takes half the time of calling the class
_LIVE_FIELDS = ("id", "label", "score", "box", "misses", "start", "hits")
