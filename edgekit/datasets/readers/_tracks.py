"""Makes tubes from the boxes of annotated tracks, which may be keyframes or hidden for a while."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from edgekit.datasets.annotations import MOST_FRAMES, TruthTube
from edgekit.runtime.types import Array

__all__ = ["TrackError", "TrackFiller", "linked_tubes", "upright"]

_LEAST_ROOM, _MOST_ROOM = 2_000_000, 8_000_000
"""Numbers of boxes that keyframes of a small and of a large file may claim: 64 and 256 MB."""

_MOST_TUBES = 100_000
"""Largest number of tubes of a file; making one takes as long as reading ten boxes."""

_MOST_LOOSE = 256
"""Largest number of boxes without a track in one frame: each is compared with each of the next."""


class TrackError(ValueError):
    """Boxes of tracks contradict each other, or are more than are read; the message says how."""


class TrackFiller:
    """Makes tubes from keyframes; all tubes of a file share one bound on their boxes.

    Args:
        size: Size of the file in bytes, each of which allows for one more box.
        most: Largest number of boxes, whatever the size.
        tubes: Largest number of tubes.
    """

    def __init__(self, size: int, *, most: int = _MOST_ROOM, tubes: int = _MOST_TUBES) -> None:
        self._room = self._most = min(_LEAST_ROOM + size, most)
        self._left = self._tubes = tubes

    def tubes(
        self,
        label: int,
        keys: Iterable[tuple[int, Sequence[float] | None]],
        until: int | None = None,
    ) -> list[TruthTube]:
        """Returns the tubes of one track, with a box in every frame between its keyframes.

        Args:
            label: Class index.
            keys: Frame, and its box (x1, y1, x2, y2) or None from where on nothing is seen.
                Between two boxes, all four sides are interpolated linearly.
            until: Frame at which the last box ends, not included; None for its own frame only.

        Returns:
            One tube for each span in which the track is seen.

        Raises:
            TrackError: A frame is out of range or has several boxes, or the file claims too many
                boxes or tubes.
        """
        spans: list[list[tuple[int, Sequence[float]]]] = [[]]
        for frame, box in sorted(_by_frame(keys).items()):
            if not 0 <= frame < MOST_FRAMES:
                raise TrackError(f"frame {frame}, expected 0 to {MOST_FRAMES - 1}")
            if box is not None:
                spans[-1].append((frame, box))
            elif spans[-1]:
                # What is hidden here was seen, at its last box, in the frame before.
                if frame - 1 > spans[-1][-1][0]:
                    spans[-1].append((frame - 1, spans[-1][-1][1]))
                spans.append([])
        if until is not None and spans[-1] and until - 1 > spans[-1][-1][0]:
            spans[-1].append((until - 1, spans[-1][-1][1]))
        return [self._filled(label, span) for span in spans if span]

    def _filled(self, label: int, span: Sequence[tuple[int, Sequence[float]]]) -> TruthTube:
        first, last = span[0][0], span[-1][0]
        self._left -= 1
        if self._left < 0:
            raise TrackError(f"its tracks have more than {self._tubes} spans")
        self._room -= last + 1 - first
        if self._room < 0:
            raise TrackError(f"its keyframes claim more than {self._most} boxes")
        boxes = np.array([box for _, box in span], np.float64).reshape(-1, 4)
        if len(boxes) == last + 1 - first:
            return TruthTube(label, first, boxes)
        keys = np.array([frame for frame, _ in span])
        frames = np.arange(first, last + 1)
        filled = np.empty((len(frames), 4))
        for side in range(4):
            filled[:, side] = np.interp(frames, keys, boxes[:, side])
        return TruthTube(label, first, filled)


def _by_frame(
    keys: Iterable[tuple[int, Sequence[float] | None]],
) -> dict[int, Sequence[float] | None]:
    """Returns keyframes by their frame; of several at a frame, the last."""
    found: dict[int, Sequence[float] | None] = {}
    for frame, box in keys:
        other = found.get(frame)
        if box is not None and other is not None and list(box) != list(other):
            raise TrackError(
                f"a track has several boxes in frame {frame}: {list(other)} and {list(box)}"
            )
        found[frame] = box
    return found


def linked_tubes(frames: Mapping[int, Sequence[tuple[int, Sequence[float]]]]) -> list[TruthTube]:
    """Returns tubes from boxes that belong to no track.

    A box continues the tube of its class in the frame before that it overlaps most; a box without
    one begins a tube. Each tube continues once.

    Args:
        frames: Label and box (x1, y1, x2, y2) of each actor, by frame.

    Raises:
        TrackError: A frame has more boxes than are compared.
    """
    done: list[TruthTube] = []
    live: list[tuple[int, int, list[Sequence[float]]]] = []
    last = -1
    for frame, found in sorted(frames.items()):
        if len(found) > _MOST_LOOSE:
            raise TrackError(
                f"frame {frame} has {len(found)} boxes without a track, expected at most "
                f"{_MOST_LOOSE}"
            )
        if frame != last + 1:
            done += [_tube(*tube) for tube in live]
            live = []
        pairs = sorted(
            ((overlap, old, new)
             for old, (label, _, boxes) in enumerate(live)
             for new, (own, box) in enumerate(found)
             # Most boxes of a crowd are beside each other, which two comparisons tell.
             if label == own and box[0] < boxes[-1][2] and boxes[-1][0] < box[2]
             and (overlap := _overlap(boxes[-1], box)) > 0),
            reverse=True,
        )  # fmt: skip
        following: dict[int, int] = {}
        taken: set[int] = set()
        for _, old, new in pairs:
            if old not in following and new not in taken:
                following[old] = new
                taken.add(new)
        for old, new in following.items():
            live[old][2].append(found[new][1])
        done += [_tube(*tube) for old, tube in enumerate(live) if old not in following]
        live = [tube for old, tube in enumerate(live) if old in following]
        live += [(own, frame, [box]) for new, (own, box) in enumerate(found) if new not in taken]
        last = frame
    return sorted(done + [_tube(*tube) for tube in live], key=lambda tube: (tube.start, tube.label))


def upright(
    box: Sequence[float], degrees: float, pivot: Sequence[float] | None = None
) -> list[float]:
    """Returns the upright box (x1, y1, x2, y2) around one that is turned.

    Args:
        box: Box before the turn (x1, y1, x2, y2).
        degrees: Angle, clockwise.
        pivot: Point (x, y) that it turns about; None for its centre.
    """
    x1, y1, x2, y2 = box
    if not degrees:
        return [x1, y1, x2, y2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    if pivot is not None:
        across, down = x - pivot[0], y - pivot[1]
        x, y = pivot[0] + across * cos - down * sin, pivot[1] + across * sin + down * cos
    width, height = x2 - x1, y2 - y1
    half = (
        (width * abs(cos) + height * abs(sin)) / 2,
        (width * abs(sin) + height * abs(cos)) / 2,
    )
    return [x - half[0], y - half[1], x + half[0], y + half[1]]


def _tube(label: int, start: int, boxes: Sequence[Sequence[float]]) -> TruthTube:
    return TruthTube(label, start, np.array(boxes, np.float64).reshape(-1, 4))


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = _area(one) + _area(other) - width * height
    return width * height / both if both > 0 else 0.0


def _area(box: Sequence[float] | Array) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
