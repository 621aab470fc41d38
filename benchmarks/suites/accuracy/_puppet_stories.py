"""Rendered clips with pauses: puppets stand still, act, and stand still again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from edgekit.benchmarks.suites.support.still_footage import FPS
from edgekit.runtime.iou import pairwise_iou
from edgekit.runtime.types import Tube
from edgekit.synthetic import render_clip

__all__ = ["AFTER", "BEFORE", "actors", "story", "tube_of"]

BEFORE, AFTER = 6 * FPS, 3 * FPS
"""Number of still pictures before and after the action."""

_SAME = 0.5


def story(seed: int) -> Iterator[Any]:
    """Yields the pictures of puppets that stand still, act, and stand still again."""
    images = list(render_clip(seed))
    yield from itertools.repeat(images[0], BEFORE)
    yield from images
    yield from itertools.repeat(images[-1], AFTER)


def actors(seed: int, before: int = BEFORE) -> list[Tube]:
    """Returns the true tubes of a story with ``before`` still pictures at its beginning."""
    return [
        Tube(
            -1,
            tube.label,
            1.0,
            before + tube.start,
            before + tube.end - 1,
            tube.boxes,
            ones,
            ones > 0,
        )
        for tube in render_clip(seed).tubes
        for ones in [np.ones(len(tube.boxes))]
    ]


def tube_of(actor: Tube, tubes: Iterable[Tube]) -> Tube | None:
    """Returns the tube that shows an actor; None if there is none."""
    tube = max(tubes, key=lambda tube: _likeness(actor, tube), default=None)
    return None if tube is None or _likeness(actor, tube) < _SAME else tube


def _likeness(one: Tube, other: Tube) -> float:
    """Returns the summed box overlap in their common frames, per frame of the first tube."""
    first, last = max(one.start, other.start), min(one.end, other.end)
    if one.label != other.label or last < first:
        return 0.0
    boxes = [tube.boxes[first - tube.start : last + 1 - tube.start] for tube in (one, other)]
    pairs = np.stack(boxes, axis=1)
    overlaps = [float(pairwise_iou(pair)[0, 1]) for pair in pairs]
    return float(np.mean(overlaps)) * (last + 1 - first) / len(one.boxes)
