"""Draws the report of an evaluation as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from edgekit.evaluation.report.charts import confusion, curves, early, gains
from edgekit.evaluation.report.texts import (
    class_grid,
    early_grid,
    error_grid,
    group_grid,
    header_lines,
    note_lines,
    shift_lines,
    tracking_grid,
    video_grid,
)
from edgekit.metrics.analysis.records import Analysis
from edgekit.metrics.eval_result import EvalResult
from edgekit.reporting.html import document, notes, table

__all__ = ["to_html"]

_WORST = 20


def to_html(result: EvalResult, folder: Path) -> str:
    """Returns the page of an evaluation that was analysed, light or dark as the reader's system.

    Args:
        result: Result with its analysis.
        folder: Folder of the page, from which its links to clips start.
    """
    analysis = result.analysis
    assert analysis is not None  # the caller asked for it
    tracking = [table(tracking_grid(result.tracking))] if result.tracking else []
    body = [
        "<h1>edgekit eval</h1>",
        *_paragraphs(header_lines(result)),
        notes(note_lines(result)),
        table(class_grid(analysis)),
        *tracking,
        *_curves(analysis),
        *_errors(analysis),
        *_confusion(analysis),
        table(group_grid(analysis)),
        *_early(analysis),
        *_videos(analysis),
        *_clips(result.clips, folder),
    ]
    return document("edgekit eval", body, "video { max-width: 100%; }")


def _paragraphs(lines: Sequence[str]) -> list[str]:
    return [f"<p>{escape(line)}</p>" for line in lines]


def _curves(analysis: Analysis) -> list[str]:
    return [
        "<h2>Precision (up) against recall (right)</h2>",
        '<p class="key"><span><i class="s0"></i>boxes in frames, IoU 0.5</span>'
        '<span><i class="s1"></i>tubes, overlap 0.5</span></p>',
        "<p>A dot marks the score at which F1 is highest, the working point of the class.</p>",
        curves(analysis.frame_classes, analysis.tube_classes),
    ]


def _errors(analysis: Analysis) -> list[str]:
    return [
        table(error_grid("errors in frames", "frame-mAP@0.5", analysis.frame_errors)),
        gains(analysis.frame_errors),
        table(error_grid("errors of tubes", "video-mAP@0.5", analysis.tube_errors)),
        gains(analysis.tube_errors),
        *_paragraphs(shift_lines(analysis)),
    ]


def _confusion(analysis: Analysis) -> list[str]:
    return [
        "<h2>Annotated classes (rows) against found classes (columns)</h2>",
        "<p>Number of boxes at the working points. Columns have the numbers of the rows; shades "
        "are shares of the row.</p>",
        confusion(analysis.confusion),
    ]


def _early(analysis: Analysis) -> list[str]:
    return [
        "<h2>Early labels: accuracy of the video's class (up) against the share seen (right)</h2>",
        early(analysis.early),
        table(early_grid(analysis)),
    ]


def _videos(analysis: Analysis) -> list[str]:
    videos = analysis.videos
    parts = [table(video_grid(f"the {min(_WORST, len(videos))} worst videos", videos[:_WORST]))]
    if len(videos) > _WORST:
        rest = table(video_grid("the other videos", videos[_WORST:]))
        parts.append(f"<details><summary>{len(videos) - _WORST} more</summary>{rest}</details>")
    return parts


def _clips(clips: Mapping[str, Path], folder: Path) -> list[str]:
    if not clips:
        return []
    parts = [
        "<h2>The worst videos</h2>",
        "<p>Annotated boxes are white. Coloured ones are tubes that score at least as high as the "
        "working point of their class; they are dashed where the tube has no detection.</p>",
    ]
    for name, path in clips.items():
        place = quote(os.fsencode(os.path.relpath(path, folder)))
        parts.append(
            f'<p>{escape(name)}</p><video controls preload="metadata" src="{place}"></video>'
        )
    return parts
