"""Scores the same boxes and tubes by the rules of MOC, YOWOv2 and ROAD, beside EdgeKit's.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.protocols FOUND.json.gz``, with detections
that ``edgekit eval --save-detections`` saved. With the folder of UCF101-24's annotations instead of
a file, it makes detections from the test list as ``evaluation_time`` does.

The differences between the rows are those of the rules: all of them score the boxes that EdgeKit
selects, and the tubes that its linker makes. The rules are written again here, from the public code
of each program, apart from EdgeKit's metrics. ``docs/protocols.md`` describes them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekit.benchmarks.suites.accuracy.evaluation_time import write_simulated
from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.average_precision import average_precision
from edgekit.metrics.detections import SavedDetections, SavedVideo, read_detections
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_selection import select_frames
from edgekit.runtime.selection import FRAME_AP, clamp_boxes
from edgekit.runtime.types import Array, Tube

__all__ = ["FRAME_RULES", "FrameRule", "frame_map", "main", "moc_video_map", "trapezoids"]

_MOC_SHORTEST = 15
_MOC_OVERLAP = 0.3


class _FoundBox(NamedTuple):
    frame: tuple[int, int]
    score: float
    corners: Array


@dataclass(frozen=True, slots=True)
class FrameRule:
    """Rule by which a program scores boxes.

    Attributes:
        annotated_only: Whether boxes in frames without an annotated box of any class are ignored.
        last_pixel: Whether a box includes its last pixel, so that its width is x2 - x1 + 1.
        rounded: Whether found boxes are cut to whole pixels.
        best_only: Whether a box is wrong if the annotated box that it overlaps most is taken.
        area: Function that returns the AP of scores, correctness and number of annotated boxes.
    """

    annotated_only: bool
    last_pixel: bool
    rounded: bool
    best_only: bool
    area: Callable[[Array, Array, int], float]


def trapezoids(scores: Array, hits: Array, total: int) -> float:
    """Returns the area under a precision-recall curve of straight lines, as in MOC's ``pr_to_ap``.

    Args:
        scores: Score of each detection, (n,).
        hits: Whether each detection is correct, (n,) bool.
        total: Number of annotated objects, at least 1.
    """
    ranked = np.asarray(hits, np.float64)[np.argsort(-np.asarray(scores), kind="stable")]
    found = np.concatenate(([0.0], np.cumsum(ranked)))
    precision = np.concatenate(([1.0], found[1:] / np.arange(1, len(found))))
    return float((np.diff(found / total) * (precision[1:] + precision[:-1]) / 2).sum())


FRAME_RULES = {
    "ROAD (Python)": FrameRule(True, False, False, False, average_precision),
    "MOC": FrameRule(False, True, False, False, trapezoids),
    "YOWOv2": FrameRule(True, True, True, True, average_precision),
}
"""Rules of the published programs, by name."""


def frame_map(saved: SavedDetections, rule: FrameRule) -> float:
    """Returns frame-mAP at an IoU of 0.5, over the annotated classes, by a program's rule."""
    found: dict[int, list[_FoundBox]] = defaultdict(list)
    truth: dict[int, dict[tuple[int, int], Array]] = defaultdict(dict)
    for number, video in enumerate(saved.videos):
        for tube in video.truth.tubes:
            for frame, box in enumerate(tube.boxes, tube.start):
                # As in EdgeKit, annotated frames count unless they were not processed.
                if frame >= len(video.detections) or video.detections[frame] is not None:
                    known = truth[tube.label].get((number, frame), np.zeros((0, 4)))
                    truth[tube.label][number, frame] = np.concatenate((known, [box]))
        annotated = {frame for boxes in truth.values() for n, frame in boxes if n == number}
        for label, entry in _selected(video, len(saved.classes), number):
            if entry.frame[1] in annotated or not rule.annotated_only:
                found[label].append(entry)
    return float(np.mean([_frame_ap(found[label], boxes, rule) for label, boxes in truth.items()]))


def _selected(video: SavedVideo, classes: int, number: int) -> list[tuple[int, _FoundBox]]:
    frames = FrameDetections.of(video.detections, classes)
    limit = (float(video.truth.width), float(video.truth.height))
    frames.boxes = clamp_boxes(np.asarray(frames.boxes, np.float64), limit, offset=0.0)
    return [
        (label, _FoundBox((number, frame), float(frames.scores[row, label]), frames.boxes[row]))
        for frame, label, row in zip(
            *map(np.ndarray.tolist, select_frames(frames, FRAME_AP)), strict=True
        )
    ]


def _frame_ap(
    found: Sequence[_FoundBox], truth: dict[tuple[int, int], Array], rule: FrameRule
) -> float:
    free = {frame: np.ones(len(boxes), np.bool_) for frame, boxes in truth.items()}
    hits = []
    ranked = sorted(found, key=lambda one: -one.score)
    for one in ranked:
        hit = False
        if one.frame in truth:
            corners = np.trunc(one.corners) if rule.rounded else one.corners
            overlaps = _iou(truth[one.frame], corners[None], float(rule.last_pixel))
            if not rule.best_only:
                overlaps = np.where(free[one.frame], overlaps, -1.0)
            best = int(overlaps.argmax())
            hit = bool(overlaps[best] >= 0.5 and free[one.frame][best])
            if hit:
                free[one.frame][best] = False
        hits.append(hit)
    scores = np.array([one.score for one in ranked])
    return rule.area(scores, np.array(hits, np.bool_), sum(map(len, truth.values())))


def moc_video_map(result: EvalResult, threshold: float) -> float:
    """Returns video-mAP by MOC's rule, from 0 to 1, of the tubes of an evaluation."""
    aps = []
    for label in range(len(result.classes)):
        scores, hits, total = [], [], 0
        for video in result.videos:
            truth = [tube for tube in video.truth if tube.label == label]
            total += len(truth)
            free = np.ones(len(truth), np.bool_)
            for tube in _moc_kept([tube for tube in video.final if tube.label == label]):
                overlaps = np.array([_moc_overlap(tube, one) for one in truth])
                overlaps = np.where(free, overlaps, -1.0)
                hit = bool(len(truth) and overlaps.max() >= threshold)
                if hit:
                    free[overlaps.argmax()] = False
                scores.append(tube.score)
                hits.append(hit)
        if total:
            aps.append(trapezoids(np.array(scores), np.array(hits, np.bool_), total))
    return float(np.mean(aps))


def _moc_kept(tubes: Sequence[Tube]) -> list[Tube]:
    """Returns the tubes that are long enough and do not overlap a better one too much."""
    kept: list[Tube] = []
    long = [tube for tube in tubes if tube.end - tube.start + 1 >= _MOC_SHORTEST]
    for tube in sorted(long, key=lambda one: -one.score):
        if all(_moc_overlap(tube, better) <= _MOC_OVERLAP for better in kept):
            kept.append(tube)
    return kept


def _moc_overlap(one: Tube, other: Tube | TruthTube) -> float:
    """Returns the IoU of the spans times the mean IoU of the boxes in the common frames."""
    first, last = max(one.start, other.start), min(one.end, other.end)
    if last < first:
        return 0.0
    common = last - first + 1
    boxes, others = (tube.boxes[first - tube.start :][:common] for tube in (one, other))
    union = max(one.end, other.end) - min(one.start, other.start) + 1
    return float(_iou(boxes, others, 1.0).mean()) * common / union


def _iou(boxes: Array, others: Array, pixel: float) -> Array:
    """Returns the IoU of boxes in pairs, (n,), with widths of x2 - x1 + ``pixel``."""
    near, far = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    shared = np.maximum(far - near + pixel, 0.0).prod(axis=1)
    areas = [(of[:, 2:] - of[:, :2] + pixel).prod(axis=1) for of in (boxes, others)]
    iou: Array = shared / (areas[0] + areas[1] - shared)
    return iou


def _rows(saved: SavedDetections) -> list[tuple[str, float, float | None]]:
    """Returns name, frame-mAP and video-mAP at 0.5 by each program's rules."""
    ours = evaluate(saved)
    published = evaluate(saved, protocol="published", link="edgekit")
    rows: list[tuple[str, float, float | None]] = [
        ("EdgeKit", ours.frame_map, ours.video_map["0.5"]),
        ("EdgeKit, --frames annotated", evaluate(saved, frames="annotated").frame_map, None),
        ("KORSAL, --protocol published", published.frame_map, published.video_map["0.5"]),
    ]
    for name, rule in FRAME_RULES.items():
        tubes = moc_video_map(ours, 0.5) if name == "MOC" else None
        rows.append((name, frame_map(saved, rule), tubes))
    return rows


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="saved detections, or a folder of UCF101-24")
    parser.add_argument("--videos", type=int, default=910, help="videos to make of a folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path.is_dir():
            path = Path(folder) / "detections.json"
            write_simulated(path, options.path, options.videos)
        rows = _rows(read_detections(path))
    print("| rules | frame-mAP@0.5 | video-mAP@0.5 |\n| --- | --- | --- |")
    for name, *values in rows:
        cells = [
            "" if value is None else f"{value:.4f} ({value - base:+.4f})"
            for value, base in zip(values, rows[0][1:], strict=True)
            if base is not None
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
