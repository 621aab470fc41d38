"""Groups annotated boxes by size, motion and overlap with other actors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.geometry import to_xywh
from edgekit.runtime.iou import xywh_iou
from edgekit.runtime.types import Array

__all__ = ["GROUPS", "Group", "group_counts", "properties"]

_REACH = 10
"""Frames before and after a box with which its motion is measured."""

GROUPS: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    (
        "size",
        (
            ("under 1/64 of the picture", 1 / 64),
            ("1/64 to 1/16", 1 / 16),
            ("1/16 to 1/4", 1 / 4),
            ("over 1/4", np.inf),
        ),
    ),
    ("motion", (("fast", 0.7), ("medium", 0.9), ("slow", np.inf))),
    (
        "covered by other actors' boxes",
        (
            ("not at all", np.nextafter(0, 1)),
            ("up to half", np.nextafter(0.5, 1)),
            ("more than half", np.inf),
        ),
    ),
)
"""Properties, and the groups of each with the value below which a box belongs to it. The groups of
motion are those of ImageNet VID's evaluations (Zhu et al., "Flow-Guided Feature Aggregation for
Video Object Detection", ICCV 2017)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of annotated boxes.

    Attributes:
        property: Property that its boxes share.
        name: Name of the group.
        boxes: Number of annotated boxes.
        found: Share of them that are found at the working point of their class; None if there are
            none.
    """

    property: str
    name: str
    boxes: int
    found: float | None


def properties(truth: Sequence[TruthTube], size: tuple[float, float]) -> Array:
    """Returns the values of each annotated box by which ``GROUPS`` are formed.

    Args:
        truth: Annotated tubes.
        size: Width and height of the picture.

    Returns:
        One row for each box of each tube, (n, 3): share of the picture, motion, and share of the
        box that another annotated box covers at most. Motion is the mean IoU with the actor's boxes
        at most 10 frames away; NaN for a tube of a single box.
    """
    boxes = [to_xywh(tube.boxes) for tube in truth]
    covered = _covered(truth)
    rows = [
        np.stack([box[:, 2:].prod(axis=1) / (size[0] * size[1]), _motion(box), over], axis=1)
        for box, over in zip(boxes, covered, strict=True)
    ]
    return np.concatenate([np.zeros((0, len(GROUPS))), *rows])


def group_counts(values: Array, found: Array) -> list[Group]:
    """Returns the share of each group's boxes that are found.

    Args:
        values: Properties of each annotated box, (n, 3).
        found: Whether each box is found, (n,) bool.
    """
    groups = []
    for column, (name, limits) in zip(values.T, GROUPS, strict=True):
        known = ~np.isnan(column)
        place = np.searchsorted([limit for _, limit in limits], column, side="right")
        for number, (title, _) in enumerate(limits):
            own = found[known & (place == number)]
            groups.append(Group(name, title, len(own), float(own.mean()) if len(own) else None))
    return groups


def _motion(boxes: Array) -> Array:
    """Returns the mean IoU of each box with those of its tube at most ``_REACH`` frames away."""
    total, count = np.zeros(len(boxes)), np.zeros(len(boxes))
    for step in range(1, min(_REACH, len(boxes) - 1) + 1):
        overlap = xywh_iou(boxes[:-step], boxes[step:])
        for rows in (slice(None, -step), slice(step, None)):
            total[rows] += overlap
            count[rows] += 1
    motion: Array = np.full(len(boxes), np.nan)
    np.divide(total, count, out=motion, where=count > 0)
    return motion


def _covered(truth: Sequence[TruthTube]) -> list[Array]:
    """Returns the largest share of each box that a box of another tube covers, for each tube."""
    covered = [np.zeros(len(tube.boxes)) for tube in truth]
    for one, tube in enumerate(truth):
        for two, other in enumerate(truth):
            first, last = max(tube.start, other.start), min(tube.end, other.end)
            if one == two or last < first:
                continue
            own = tube.boxes[first - tube.start : last - tube.start + 1]
            over = other.boxes[first - other.start : last - other.start + 1]
            near = np.maximum(own[:, :2], over[:, :2])
            shared = np.maximum(np.minimum(own[:, 2:], over[:, 2:]) - near, 0).prod(axis=1)
            share = shared / (own[:, 2:] - own[:, :2]).prod(axis=1)
            rows = covered[one][first - tube.start : last - tube.start + 1]
            np.maximum(rows, share, out=rows)
    return covered
