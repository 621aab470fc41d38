"""Sums up the analyses of all videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.metrics.analysis.curves import WorkingPoint, precision_at_recalls, working_point
from edgekit.metrics.analysis.early import SHARES
from edgekit.metrics.analysis.errors import Entries, ErrorKind, join, repaired_ap
from edgekit.metrics.analysis.groups import group_counts
from edgekit.metrics.analysis.records import (
    Analysis,
    ClassFigures,
    Confusion,
    EarlyLabels,
    ErrorFigures,
    Shifts,
    VideoFigures,
)
from edgekit.metrics.analysis.video import VideoAnalysis
from edgekit.runtime.types import Array

__all__ = ["summarise"]

_FRAME_KINDS = (
    ErrorKind.CLASS,
    ErrorKind.PLACE,
    ErrorKind.BOTH,
    ErrorKind.DOUBLE,
    ErrorKind.BACKGROUND,
    ErrorKind.MISSED,
)
_TUBE_KINDS = (
    ErrorKind.CLASS,
    ErrorKind.EXTENT,
    ErrorKind.PLACE,
    ErrorKind.DOUBLE,
    ErrorKind.BACKGROUND,
    ErrorKind.MISSED,
)


def summarise(classes: Sequence[str], videos: Sequence[VideoAnalysis]) -> Analysis:
    """Returns the analysis of a dataset.

    Args:
        classes: Class names, by class index.
        videos: Analyses of the videos, of which at least one has an annotated tube.
    """
    count = len(classes)
    boxes, tubes = (join([getattr(v, name) for v in videos]) for name in ("boxes", "tubes"))
    box_points, tube_points = (
        [working_point(*_of_class(entries, label)) for label in range(count)]
        for entries in (boxes, tubes)
    )
    least = np.array([point.score for point in box_points])
    least_tube = np.array([point.score for point in tube_points])
    shown = boxes.above(least)
    return Analysis(
        frame_map=_mean(repaired_ap(boxes, count)) or 0.0,
        video_map=_mean(repaired_ap(tubes, count)) or 0.0,
        frame_errors=_errors(boxes, shown, count, _FRAME_KINDS),
        tube_errors=_errors(tubes, tubes.above(least_tube), count, _TUBE_KINDS),
        frame_classes=_classes(classes, boxes, box_points),
        tube_classes=_classes(classes, tubes, tube_points),
        shifts=_shifts(tubes, np.concatenate([video.shifts for video in videos]), least_tube),
        confusion=_confusion(classes, shown),
        groups=group_counts(
            np.concatenate([video.values for video in videos]), shown.found(ErrorKind.CORRECT)
        ),
        early=_early([video.early for video in videos if video.early is not None]),
        videos=_videos(videos, count, least),
    )


def _mean(values: Array) -> float | None:
    """Returns the mean of all that is not NaN; None if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _of_class(entries: Entries, label: int) -> tuple[Array, Array, int]:
    """Returns scores and correctness of a class's entries, and the number of its annotations."""
    own = entries.labels == label
    hits = entries.kinds[own] == ErrorKind.CORRECT
    return entries.scores[own], hits, int((entries.truth == label).sum())


def _errors(
    entries: Entries, shown: Entries, classes: int, kinds: Sequence[ErrorKind]
) -> list[ErrorFigures]:
    counts = shown.counts()
    now = _mean(repaired_ap(entries, classes)) or 0.0
    figures = []
    for kind in kinds:
        repaired = _mean(repaired_ap(entries, classes, [kind])) or 0.0
        figures.append(ErrorFigures(str(kind), counts[kind], repaired, repaired - now))
    return figures


def _classes(
    classes: Sequence[str], entries: Entries, points: Sequence[WorkingPoint]
) -> list[ClassFigures]:
    average = repaired_ap(entries, len(classes))
    annotated = np.bincount(entries.truth, minlength=len(classes)).tolist()
    return [
        ClassFigures(
            name,
            annotated[label],
            float(average[label]),
            point.score if np.isfinite(point.score) else None,
            point.precision,
            point.recall,
            [
                round(value, 4)
                for value in precision_at_recalls(*_of_class(entries, label)).tolist()
            ],
        )
        for label, (name, point) in enumerate(zip(classes, points, strict=True))
        if annotated[label]
    ]


def _shifts(tubes: Entries, shifts: Array, least: Array) -> Shifts | None:
    means = np.isin(tubes.kinds, (ErrorKind.CORRECT, ErrorKind.EXTENT)) & (
        tubes.scores >= least[tubes.labels]
    )
    if not means.any():
        return None
    begin, end = np.percentile(shifts[means], (25, 50, 75), axis=0).T.tolist()
    return Shifts(int(means.sum()), begin, end)


def _confusion(classes: Sequence[str], shown: Entries) -> Confusion:
    count = len(classes)
    counts = np.zeros((count + 1, count + 1), np.intp)
    means = np.isin(shown.kinds, (ErrorKind.CORRECT, ErrorKind.CLASS))
    rows = np.full(len(shown.labels), count, np.intp)
    rows[means] = shown.truth[shown.targets[means]]
    np.add.at(counts, (rows, shown.labels), 1)
    nothing = ~shown.found(ErrorKind.CORRECT, ErrorKind.CLASS)
    counts[:count, count] = np.bincount(shown.truth[nothing], minlength=count)
    kept = np.append((counts[:count, :].any(axis=1) | counts[:, :count].any(axis=0)), True)
    names = [name for name, is_kept in zip(classes, kept[:count], strict=True) if is_kept]
    return Confusion(names, counts[np.ix_(kept, kept)].tolist())


def _early(seen: Sequence[Sequence[bool]]) -> list[EarlyLabels]:
    means = np.mean(np.array(seen, np.float64), axis=0).tolist()
    return [EarlyLabels(share, mean) for share, mean in zip(SHARES, means, strict=True)]


def _videos(videos: Sequence[VideoAnalysis], classes: int, least: Array) -> list[VideoFigures]:
    figures = []
    for video in videos:
        shown = video.boxes.above(least)
        counts, found = shown.counts(), shown.found(ErrorKind.CORRECT)
        figures.append(
            VideoFigures(
                video.name,
                video.length,
                len(found),
                float(found.mean()) if len(found) else None,
                _mean(repaired_ap(video.boxes, classes)),
                _mean(repaired_ap(video.tubes, classes)),
                {str(kind): counts[kind] for kind in _FRAME_KINDS},
            )
        )
    # Videos without annotations come last, those with the most false boxes first.
    return sorted(
        figures,
        key=lambda one: (
            (2.0, -float(sum(one.errors.values()))) if one.frame_ap is None else (one.frame_ap, 0.0)
        ),
    )
