"""Sorts the boxes of a video's frames by what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.analysis.errors import Entries, ErrorKind
from edgekit.metrics.frame_map import FRAME_IOU, BoxMatches
from edgekit.runtime.types import Array

__all__ = ["BACKGROUND_IOU", "frame_entries"]

BACKGROUND_IOU = 0.1
"""IoU below which a box means no annotated box, as in TIDE."""


def frame_entries(
    matches: BoxMatches, truth: Sequence[TruthTube], counts: Array
) -> tuple[Entries, Array]:
    """Returns the boxes of a video that count for frame-AP, with what is wrong with each.

    A box that overlaps a box of its class by half is ``DOUBLE``, if it is not correct; one that
    overlaps a box of another class by half is of the wrong ``CLASS``. One with a smaller overlap is
    in the wrong ``PLACE``, or ``BOTH`` if only a box of another class is there.

    Args:
        matches: Annotated boxes that the boxes take, where only those of their class can be taken.
        truth: Annotated tubes.
        counts: Number of boxes in each frame, (F,); -1 for a frame that was not processed, whose
            annotated boxes do not count.

    Returns:
        The entries, and the annotated boxes that count, as rows of all boxes of all tubes.
    """
    lengths = np.array([len(tube.boxes) for tube in truth], np.intp)
    # Row of the box that each tube has, or would have, in frame 0.
    firsts = np.cumsum(lengths) - lengths - np.array([tube.start for tube in truth], np.intp)
    frames = [np.arange(tube.start, tube.end + 1) for tube in truth]
    seen = np.concatenate([np.zeros(0, np.bool_), *(_seen(counts, frame) for frame in frames)])
    labels = np.array([tube.label for tube in truth], np.intp)
    selected = matches.selected
    kinds, tubes = _kinds(matches, labels)
    targets = np.full(len(kinds), -1, np.intp)
    means = np.flatnonzero(tubes >= 0)
    rows = np.cumsum(seen) - 1
    targets[means] = rows[firsts[tubes[means]] + selected.frame[means]]
    entries = Entries(
        selected.label, matches.scores, kinds, targets, np.repeat(labels, lengths)[seen]
    )
    return entries, np.flatnonzero(seen)


def _seen(counts: Array, frames: Array) -> Array:
    """Returns which frames were processed; those after the video's end count as such."""
    seen = np.ones(len(frames), np.bool_)
    inside = frames < len(counts)
    seen[inside] = counts[frames[inside]] >= 0
    return seen


def _kinds(matches: BoxMatches, labels: Array) -> tuple[Array, Array]:
    """Returns the kind of each box, and the annotated tube that it means or -1, (n,) each."""
    count = len(matches.scores)
    if not len(labels):
        return np.full(count, int(ErrorKind.BACKGROUND), np.intp), np.full(count, -1, np.intp)
    own = labels[:, None] == matches.selected.label
    same, other = np.where(own, matches.overlaps, 0.0), np.where(own, 0.0, matches.overlaps)
    near, beside = same.max(axis=0), other.max(axis=0)
    found = matches.taken >= 0
    rules = [
        (found, ErrorKind.CORRECT, matches.taken),
        (near >= FRAME_IOU, ErrorKind.DOUBLE, np.full(count, -1)),
        (beside >= FRAME_IOU, ErrorKind.CLASS, other.argmax(axis=0)),
        (near >= BACKGROUND_IOU, ErrorKind.PLACE, same.argmax(axis=0)),
        (beside >= BACKGROUND_IOU, ErrorKind.BOTH, np.full(count, -1)),
    ]
    holds = [rule for rule, _, _ in rules]
    kinds = np.select(
        holds, [np.full(count, int(kind)) for _, kind, _ in rules], ErrorKind.BACKGROUND
    )
    return kinds, np.select(holds, [tube for _, _, tube in rules], -1)
