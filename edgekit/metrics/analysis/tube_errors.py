"""Sorts the tubes of a video by what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.analysis.errors import Entries, ErrorKind
from edgekit.metrics.analysis.frame_errors import BACKGROUND_IOU
from edgekit.metrics.geometry import to_xywh, tube_overlap
from edgekit.metrics.video_map import choose
from edgekit.runtime.types import Array, Tube

__all__ = ["TUBE_OVERLAP", "tube_entries"]

TUBE_OVERLAP = 0.5
"""Overlap in space and time that a correct tube exceeds."""


def tube_entries(
    tubes: Sequence[Tube], truth: Sequence[TruthTube], *, growth: float
) -> tuple[Entries, Array]:
    """Returns the tubes of a video with what is wrong with each.

    A tube that overlaps an annotated tube of its class by half is ``DOUBLE``, if it is not correct;
    one that overlaps a tube of another class by half is of the wrong ``CLASS``. A tube has a wrong
    ``EXTENT``, in time, if its boxes overlap those of an annotated tube of its class by half where
    both are. It is in the wrong ``PLACE`` if they overlap less, and ``BACKGROUND`` if that is below
    ``BACKGROUND_IOU``.

    Args:
        tubes: Final tubes of the video.
        truth: Annotated tubes in the same pixels.
        growth: Number added to the boxes of the found tubes, as in ``match_tubes``.

    Returns:
        The entries, and how many frames each tube begins and ends after the annotated tube that it
        means, (n, 2); NaN if it means none.
    """
    ranked = sorted(tubes, key=lambda tube: -tube.score)
    shifts = np.full((len(ranked), 2), np.nan)
    labels = np.array([tube.label for tube in ranked], np.intp)
    annotated = np.array([tube.label for tube in truth], np.intp)
    kinds = np.full(len(ranked), int(ErrorKind.BACKGROUND), np.intp)
    targets = np.full(len(ranked), -1, np.intp)
    scores = np.array([tube.score for tube in ranked], np.float64)
    entries = Entries(labels, scores, kinds, targets, annotated)
    if not ranked or not truth:
        return entries, shifts
    in_time, in_space = _overlaps(ranked, truth, growth)
    overlap = in_time * in_space
    own = labels[:, None] == annotated
    taken = choose(np.where(own, overlap, -np.inf), TUBE_OVERLAP)
    same, other = np.where(own, overlap, 0.0), np.where(own, 0.0, overlap)
    near = np.where(own, in_space, 0.0)
    for row, tube in enumerate(ranked):
        if taken[row] >= 0:
            kinds[row], targets[row] = ErrorKind.CORRECT, taken[row]
        elif same[row].max() > TUBE_OVERLAP:
            kinds[row] = ErrorKind.DOUBLE
        elif other[row].max() > TUBE_OVERLAP:
            kinds[row], targets[row] = ErrorKind.CLASS, other[row].argmax()
        elif near[row].max() >= TUBE_OVERLAP:
            # Of several that it follows in space, the one that it overlaps longest.
            followed = np.where(near[row] >= TUBE_OVERLAP, in_time[row], -1.0)
            kinds[row], targets[row] = ErrorKind.EXTENT, followed.argmax()
        elif near[row].max() >= BACKGROUND_IOU:
            kinds[row], targets[row] = ErrorKind.PLACE, near[row].argmax()
        if targets[row] >= 0:
            meant = truth[targets[row]]
            shifts[row] = tube.start - meant.start, tube.end - meant.end
    return entries, shifts


def _overlaps(
    tubes: Sequence[Tube], truth: Sequence[TruthTube], growth: float
) -> tuple[Array, Array]:
    """Returns overlap in time and in space of each tube with each annotated tube, (n, T) each."""
    boxes = [to_xywh(annotated.boxes) for annotated in truth]
    pairs = [
        [
            tube_overlap(annotated.start, box, tube.start, found, growth=growth)
            for annotated, box in zip(truth, boxes, strict=True)
        ]
        for tube, found in ((tube, to_xywh(tube.boxes)) for tube in tubes)
    ]
    in_time, in_space = np.moveaxis(np.array(pairs), -1, 0)
    return in_time, in_space
