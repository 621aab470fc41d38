"""Trims paths to the frames of their action, by the published two-step temporal labelling.

Every frame of a path gets one of all class labels, by the Viterbi algorithm with a constant cost
for a change of label. The method is that of Saha et al., "Deep Learning for Detecting Multiple
Space-Time Action Tubes in Videos", BMVC 2016, section 3.4, in the form of KORSAL's
``online-tubes``. The runs in which a path has its own class are its segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.linking.paths import LinkedPath, top_mean
from edgekit.runtime.types import Array, Tube

__all__ = ["Labelling", "Segment", "label_frames", "segments", "trim"]

_OFFSET = 20.0
_BATCH = 64
_TOP_SCORES = 40


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """The best sequence of labels for one path.

    Attributes:
        labels: Class of each frame, (T,) int.
        values: Best sum up to each frame that ends in each class, (T, C) float.
    """

    labels: Array
    values: Array


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of frames in which a path has its own class.

    Attributes:
        first: First index into the path.
        last: Last index into the path, inclusive.
        action_score: Growth of the best sum per frame; NaN for a single frame.
        path_score: Best sum of the whole path per frame.
    """

    first: int
    last: int
    action_score: float
    path_score: float


def label_frames(class_scores: Sequence[Array], *, alpha: float = 3.0) -> list[Labelling]:
    """Returns the best labels of every frame of every path.

    They maximise the sum of (score + 20) over the frames minus ``alpha`` for each change of label.
    If several labels are equally good, the lowest index wins, at the last frame and at every step
    back from it.

    Args:
        class_scores: Scores of each path, (T, C), all with the same C and each T at least 1.
        alpha: Cost of a change of label, not below 0.
    """
    labellings: list[Labelling] = []
    for begin in range(0, len(class_scores), _BATCH):
        labellings += _label_batch(class_scores[begin : begin + _BATCH], alpha)
    return labellings


def segments(label: int, labelling: Labelling) -> list[Segment]:
    """Returns the runs of ``label``, in order of time."""
    labels, values = labelling.labels, labelling.values
    own = np.concatenate(([False], labels == label, [False]))
    edges = np.flatnonzero(own[1:] != own[:-1])
    path_score = float(values[-1, labels[-1]] / len(labels))
    runs = []
    for first, stop in edges.reshape(-1, 2).tolist():
        last = stop - 1
        growth = values[last, label] - values[first, label]
        action_score = float(growth / (last - first)) if last > first else float("nan")
        runs.append(Segment(first, last, action_score, path_score))
    return runs


def trim(paths: Sequence[LinkedPath], *, alpha: float = 3.0, min_frames: int = 10) -> list[Tube]:
    """Returns the tubes that the published evaluation counts: long segments of the paths.

    Args:
        paths: Paths in the order in which their tubes are returned.
        alpha: Cost of a change of label.
        min_frames: Smallest number of frames of a segment.

    Returns:
        One tube for each segment with a score above 0; its score is the mean of the 40 highest
        class scores within. Tubes of one path share its id.
    """
    labellings = label_frames([path.class_scores for path in paths], alpha=alpha)
    return [
        tube
        for path, labelling in zip(paths, labellings, strict=True)
        for tube in _segment_tubes(path, labelling, min_frames)
    ]


def _segment_tubes(path: LinkedPath, labelling: Labelling, min_frames: int) -> Iterator[Tube]:
    for segment in segments(path.label, labelling):
        inside = slice(segment.first, segment.last + 1)
        score = top_mean(path.scores[inside].tolist(), _TOP_SCORES)
        if segment.last - segment.first + 1 < min_frames or score <= 0:
            continue
        observed = path.observed[inside]
        seen = np.flatnonzero(observed)
        yield Tube(
            id=path.id,
            label=path.label,
            score=score,
            start=path.start + segment.first,
            end=path.start + segment.last,
            boxes=path.boxes[inside],
            scores=path.scores[inside],
            observed=observed,
            age=len(observed) - 1 - int(seen[-1]) if len(seen) else len(observed),
        )


def _label_batch(class_scores: Sequence[Array], alpha: float) -> list[Labelling]:
    """Labels paths of any lengths at once; values behind a path's end are not used."""
    paths, classes = len(class_scores), class_scores[0].shape[1]
    lengths = np.array([len(scores) for scores in class_scores])
    frames = int(lengths.max())
    gain = np.zeros((frames, paths, classes))
    for path, scores in enumerate(class_scores):
        gain[: len(scores), path] = scores
    gain += _OFFSET
    values = np.empty_like(gain)
    before = np.empty(gain.shape, np.intp)
    own = np.arange(classes)
    values[0] = gain[0]
    for frame in range(1, frames):
        stay = values[frame - 1]
        change = stay - alpha
        # The best of the others is the best of all: a class that is itself the best does not
        # change.
        source = change.argmax(axis=1)[:, None]
        best = np.take_along_axis(change, source, axis=1)
        before[frame] = np.where(stay > best, own, source)
        np.copyto(before[frame], np.minimum(source, own), where=stay == best)
        values[frame] = gain[frame] + np.maximum(stay, best)
    labels = _backtrack(values, before, lengths)
    return [
        Labelling(labels[:length, path], values[:length, path])
        for path, length in enumerate(lengths.tolist())
    ]


def _backtrack(values: Array, before: Array, lengths: Array) -> Array:
    """Returns (T, N) labels from the best last label of each path."""
    frames, paths, _ = values.shape
    labels = np.zeros((frames, paths), np.intp)
    every = np.arange(paths)
    label = values[lengths - 1, every].argmax(axis=1)
    for frame in range(frames - 1, -1, -1):
        inside = frame < lengths
        labels[frame, inside] = label[inside]
        if frame:
            label = np.where(inside, before[frame, every, label], label)
    return labels
