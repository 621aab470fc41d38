"""Draws the summary picture: frames, bars of the tubes, and the axis of time.

``media/sinks/summary_picture.py`` collects these tubes during a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from edgekit._printable import plural
from edgekit.media._opencv import cv2
from edgekit.media.drawing.bars import Bar, draw_bar, draw_legend
from edgekit.media.drawing.drawn_boxes import DrawnRun
from edgekit.media.drawing.frame_times import FrameTimes
from edgekit.media.drawing.text import Colour, colour_of, put_text, text_size
from edgekit.pipeline.results import RunInfo, RunSummary
from edgekit.runtime.types import Array

__all__ = ["THUMBNAIL_HEIGHT", "Thumbnail", "TimelineRow", "draw_timeline"]

THUMBNAIL_HEIGHT = 190

_WIDTH = 1600
_MARGIN = 32
_TITLE = 84
_ROW = 34
_SMALL_ROW = 26
_AXIS = 58
_NOTE = 34
_INK: Colour = (45, 40, 35)
_PALE: Colour = (150, 145, 140)
_GRID: Colour = (232, 230, 228)
_PAPER: Colour = (255, 255, 255)
_BAND: Colour = (249, 247, 245)


class TimelineRow(NamedTuple):
    """A tube or a true tube as a row; frames are inclusive, and ``drawn`` has its drawn boxes.

    A row of the ground truth (``truth``) has neither an id nor a score.
    """

    id: int
    label: int
    score: float
    start: int
    end: int
    drawn: list[DrawnRun]
    truth: bool = False


class Thumbnail(NamedTuple):
    """A small annotated frame."""

    frame: int
    image: Array


class _Scale(NamedTuple):
    """Converts frame indices to x coordinates in the picture."""

    left: int
    right: int
    frames: int

    def x(self, frame: float) -> int:
        return round(self.left + (self.right - self.left) * frame / self.frames)


def draw_timeline(
    info: RunInfo,
    summary: RunSummary,
    rows: Sequence[TimelineRow],
    total: int,
    thumbnails: Sequence[Thumbnail],
    *,
    frames: int,
    times: FrameTimes,
) -> Array:
    """Draws the summary as a picture, (H, 1600, 3) uint8.

    Args:
        info: Description of the run.
        summary: Result of the run.
        rows: Tubes to show, from top to bottom.
        total: Number of tubes in the run.
        thumbnails: Thumbnails in order of time; as many as fit are shown.
        frames: Smallest length of the time axis, in frames; every tube fits in any case.
        times: Times of the frames.
    """
    ends = [run.last for row in rows for run in row.drawn[-1:]]
    frames = max(1, frames, *(end + 1 for end in ends), *(row.end + 1 for row in rows))
    pitch = _ROW if len(rows) <= 24 else _SMALL_ROW
    names = [_name(row, info.classes) for row in rows]
    letters = 0.4 * pitch if pitch == _ROW else 0.42 * pitch
    gutter = max((text_size(name, letters)[0] for name in names), default=0)
    scale = _Scale(_MARGIN + min(max(gutter + 18, 60), _WIDTH // 3), _WIDTH - _MARGIN, frames)
    shown = _fitting(thumbnails)
    strip = THUMBNAIL_HEIGHT + 52 if shown else 0
    nothing = all(row.truth for row in rows)
    body = max(len(rows) + nothing, 3) * pitch
    height = _TITLE + strip + body + _AXIS + _NOTE
    image = np.full((height, _WIDTH, 3), _PAPER, np.uint8)
    _draw_title(image, info, summary)
    top = _TITLE + strip
    _draw_axis(image, scale, top, body, times)
    if shown:
        _draw_thumbnails(image, shown, scale, _TITLE, top)
    if nothing:
        text = f"no tubes with a score from {info.score:.2f} up"
        width, _ = text_size(text, 15)
        middle = (scale.left + scale.right - width) // 2
        centre = top + (len(rows) * pitch + body) // 2
        put_text(image, text, (middle, centre + 7), 15, _PALE)
    for place, (row, name) in enumerate(zip(rows, names, strict=True)):
        _draw_row(image, row, name, scale, top + place * pitch, pitch, letters)
    _draw_note(image, rows, total)
    return image


def _name(row: TimelineRow, classes: Sequence[str]) -> str:
    if row.truth:
        return f"{_ascii(classes[row.label], 26)}  (truth)"
    return f"{_ascii(classes[row.label], 26)}  {row.score:.2f}  #{row.id}"


def _ascii(text: str, most: int) -> str:
    text = text.encode("ascii", "replace").decode()
    return text if len(text) <= most else f"...{text[3 - most :]}"


def _fitting(thumbnails: Sequence[Thumbnail]) -> list[Thumbnail]:
    """Selects thumbnails evenly over time, as many as fit side by side."""
    if not thumbnails:
        return []
    width = max(thumbnail.image.shape[1] for thumbnail in thumbnails)
    room = max(1, (_WIDTH - 2 * _MARGIN + 12) // (width + 12))
    if len(thumbnails) <= room:
        return list(thumbnails)
    places = np.linspace(0, len(thumbnails) - 1, room).round().astype(int)
    return [thumbnails[place] for place in places.tolist()]


def _draw_title(image: Array, info: RunInfo, summary: RunSummary) -> None:
    put_text(image, _ascii(info.source, 90), (_MARGIN, 38), 17, _INK)
    facts = [info.bundle] if info.bundle else []
    facts.append(f"{summary.frames} {plural('frame', summary.frames)}")
    if summary.dropped:
        facts.append(f"{summary.dropped} dropped")
    facts.append(f"{summary.fps:.1f} FPS")
    if summary.interrupted:
        facts.append("interrupted")
    put_text(image, _ascii("  |  ".join(facts), 110), (_MARGIN, 66), 12, _PALE)


def _draw_thumbnails(
    image: Array, shown: Sequence[Thumbnail], scale: _Scale, top: int, axis: int
) -> None:
    total = sum(thumbnail.image.shape[1] for thumbnail in shown)
    room = _WIDTH - 2 * _MARGIN - total
    space = min(40, room // max(len(shown) - 1, 1)) if len(shown) > 1 else 0
    x = _MARGIN + max(0, room - space * (len(shown) - 1)) // 2
    for thumbnail in shown:
        width = min(thumbnail.image.shape[1], _WIDTH - _MARGIN - x)
        bottom = top + THUMBNAIL_HEIGHT
        image[top:bottom, x : x + width] = thumbnail.image[:, :width]
        text = f"{thumbnail.frame}"
        middle = x + width // 2
        put_text(image, text, (middle - text_size(text, 11)[0] // 2, bottom + 18), 11, _INK)
        place = scale.x(thumbnail.frame + 0.5)
        ends = [(middle, bottom + 24), (middle, bottom + 30), (place, axis - 8), (place, axis)]
        cv2.polylines(image, [np.array(ends, np.int32)], False, _PALE, 1, cv2.LINE_AA)
        x += width + space


def _draw_axis(image: Array, scale: _Scale, top: int, body: int, times: FrameTimes) -> None:
    bottom = top + body
    image[top:bottom, scale.left : scale.right] = _BAND
    for frame in _ticks(scale):
        x = scale.x(frame)
        cv2.line(image, (x, top), (x, bottom + 6), _GRID, 1)
        cv2.line(image, (x, bottom), (x, bottom + 6), _PALE, 1)
        for text, down, colour in ((f"{frame}", 24, _INK), (_clock(times.at(frame)), 44, _PALE)):
            width, _ = text_size(text, 11)
            left = min(max(x - width // 2, _MARGIN), _WIDTH - _MARGIN - width)
            put_text(image, text, (left, bottom + down), 11, colour)
    cv2.line(image, (scale.left, bottom), (scale.right, bottom), _PALE, 1)
    for text, down, colour in (("frame", 24, _INK), ("time", 44, _PALE)):
        put_text(image, text, (_MARGIN, bottom + down), 11, colour)


def _ticks(scale: _Scale) -> list[int]:
    """Returns round frame numbers that are at least 110 pixels apart."""
    most = max(1, (scale.right - scale.left) // 110)
    step = 1
    while scale.frames / step > most:
        digits = 10 ** (len(str(step)) - 1)
        step = {1: 2, 2: 5, 5: 10}[step // digits] * digits
    return list(range(0, scale.frames, step))


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _draw_row(
    image: Array, row: TimelineRow, name: str, scale: _Scale, top: int, pitch: int, letters: float
) -> None:
    base = top + round((pitch + letters) / 2)
    put_text(image, name, (_MARGIN, base), letters, _INK)
    colour = colour_of(row.label)
    upper, lower = top + pitch // 6, top + pitch - pitch // 6
    if row.truth:
        left, right = _extent(scale, row.start, row.end)
        image[upper + 4 : lower - 4, left:right] = _PALE
        return
    bar = Bar(upper, lower, partial(_extent, scale))
    draw_bar(image, bar, row.start, row.end, row.drawn, colour)


def _extent(scale: _Scale, first: int, last: int) -> tuple[int, int]:
    left, right = scale.x(first), scale.x(last + 1)
    return (left, right) if right - left >= 3 else (min(left, scale.right - 3), left + 3)


def _draw_note(image: Array, rows: Sequence[TimelineRow], total: int) -> None:
    shown = sum(not row.truth for row in rows)
    more = ["grey: the truth"] if shown < len(rows) else []
    if shown < total:
        more.append(f"the {shown} best of {total} tubes")
    draw_legend(image, (_MARGIN, image.shape[0] - 14), _INK, _PALE, more)
