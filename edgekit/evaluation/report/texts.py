"""Writes the sentences and tables of an evaluation's report."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit._printable import plural
from edgekit.metrics.analysis.comparison import verdicts
from edgekit.metrics.analysis.records import Analysis, ErrorFigures, VideoFigures
from edgekit.metrics.analysis.tracking import TrackingMeasures
from edgekit.metrics.eval_result import EvalResult
from edgekit.reporting.grid import Grid

__all__ = [
    "class_grid",
    "early_grid",
    "error_grid",
    "group_grid",
    "header_lines",
    "note_lines",
    "shift_lines",
    "tracking_grid",
    "video_grid",
]


def header_lines(result: EvalResult) -> list[str]:
    """Returns what was evaluated, and the main figures."""
    count = len(result.tubes)
    video = result.video_map
    compared: list[str] = []
    if result.comparison is not None:
        compared = list(verdicts(result.comparison, "the other file"))
        if result.comparison.videos < count:
            compared.insert(0, f"The comparison is of the {result.comparison.videos} videos that "
                            "have results in the other file too.")  # fmt: skip
    return [
        f"{count} {plural('video', count)}, {result.frames} frames, linked by "
        f"{result.link}, protocol {result.protocol}.",
        f"frame-mAP@0.5 {result.frame_map:.3f}; "
        + "; ".join(f"video-mAP@{at} {value:.3f}" for at, value in video.items())
        + ".",
        *compared,
    ]


def note_lines(result: EvalResult) -> list[str]:
    """Returns what a reader should not miss."""
    return [f"{name} failed: {reason}" for name, reason in result.failures.items()]


def class_grid(analysis: Analysis) -> Grid:
    """Returns the accuracy of each annotated class, and the means."""
    tubes = {one.name: one for one in analysis.tube_classes}
    rows = []
    for one in analysis.frame_classes:
        tube = tubes.get(one.name)
        rows.append(
            [
                one.name,
                str(one.annotated),
                f"{one.ap:.3f}",
                _or_dash(one.score, ".2f"),
                f"{one.precision:.3f}",
                f"{one.recall:.3f}",
                str(tube.annotated if tube else 0),
                _or_dash(tube.ap if tube else None),
                _or_dash(tube.score if tube else None, ".2f"),
            ]
        )
    means = ["", f"{analysis.frame_map:.3f}", "", "", "", "", f"{analysis.video_map:.3f}", ""]
    headings = (
        *("class", "boxes", "frame-AP", "at score", "precision", "recall"),
        *("tubes", "video-AP", "at score"),
    )
    return Grid("accuracy of each class at an overlap of 0.5", headings, [*rows, ["mean", *means]])


def tracking_grid(measures: TrackingMeasures) -> Grid:
    """Returns the tracking measures."""
    values = (measures.hota, measures.det_a, measures.ass_a, measures.idf1, measures.mota)
    row = [*(f"{value:.3f}" for value in values), str(measures.id_switches)]
    headings = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "identity switches")
    return Grid("tracking, means over the classes", headings, [row], words=0)


def error_grid(title: str, figure: str, errors: Sequence[ErrorFigures]) -> Grid:
    """Returns errors by kind, with the figure that repairing each kind would give."""
    rows = [[one.kind, str(one.count), f"{one.repaired:.3f}", f"{one.gain:+.3f}"] for one in errors]
    headings = ("kind", "at working points", f"{figure} if repaired", "gain")
    return Grid(title, headings, rows)


def shift_lines(analysis: Analysis) -> list[str]:
    """Returns how early and late tubes begin and end."""
    shifts = analysis.shifts
    if shifts is None:
        return []
    return [
        f"Tubes that follow an annotated one: {shifts.tubes}. Half of them {verb} between "
        f"{low:+.0f} and {high:+.0f} frames from it, the median is {middle:+.0f}; "
        "negative is early."
        for verb, (low, middle, high) in (("begin", shifts.begin), ("end", shifts.end))
    ]


def group_grid(analysis: Analysis) -> Grid:
    """Returns the share of the annotated boxes that are found, by size, motion and cover."""
    rows = [
        [one.property, one.name, str(one.boxes), _or_dash(one.found)] for one in analysis.groups
    ]
    headings = ("annotated boxes by", "group", "boxes", "found")
    return Grid("share of annotated boxes that are found", headings, rows, words=2)


def early_grid(analysis: Analysis) -> Grid:
    """Returns the accuracy of the class after each share of the video."""
    headings = ["share seen", *(f"{one.share:.0%}" for one in analysis.early)]
    return Grid(
        "accuracy after each share",
        headings,
        [["accuracy", *(f"{one.accuracy:.3f}" for one in analysis.early)]],
    )


def video_grid(title: str, videos: Sequence[VideoFigures]) -> Grid:
    """Returns the accuracy in each video."""
    rows = [
        [
            one.name,
            str(one.frames),
            str(one.boxes),
            _or_dash(one.found),
            _or_dash(one.frame_ap),
            _or_dash(one.video_ap),
            *(str(count) for count in one.errors.values()),
        ]
        for one in videos
    ]
    kinds = tuple(videos[0].errors) if videos else ()
    headings = ("video", "frames", "boxes", "found", "frame-AP", "video-AP", *kinds)
    return Grid(title, headings, rows)


def _or_dash(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)
