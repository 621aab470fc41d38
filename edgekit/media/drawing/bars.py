"""Draws the bars of tubes over time, and the legend that explains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from edgekit.media._opencv import cv2
from edgekit.media.drawing.drawn_boxes import DrawnRun
from edgekit.media.drawing.text import Colour, lighter, put_text, text_size
from edgekit.runtime.types import Array

__all__ = ["Bar", "draw_bar", "draw_legend"]

_SWATCH = 26


class Bar(NamedTuple):
    """Position of a bar: its pixel rows, and the pixel columns of a range of frames."""

    upper: int
    lower: int
    extent: Callable[[int, int], tuple[int, int]]


def draw_bar(
    image: Array, bar: Bar, start: int, end: int, drawn: Sequence[DrawnRun], colour: Colour
) -> None:
    """Draws a tube's bar on a picture, in place.

    The bar spans the tube's frames, from ``start`` to ``end``. Frames whose box was a detection are
    filled, frames with an extrapolated box are hatched, and frames without a drawn box are pale.
    Boxes drawn outside the tube's frames appear as a thin strip.
    """
    for first, last, observed in drawn:
        for a, b in ((first, min(last, start - 1)), (max(first, end + 1), last)):
            if a <= b:
                _fill(image, _strip(bar), bar.extent(a, b), colour, solid=observed)
    rows, columns = (bar.upper, bar.lower), bar.extent(start, end)
    _paint(image, rows, columns, lighter(colour, 0.75))
    for first, last, observed in drawn:
        a, b = max(first, start), min(last, end)
        if a <= b:
            _fill(image, rows, bar.extent(a, b), colour, solid=observed)
    _outline(image, rows, columns, colour)


def draw_legend(
    image: Array, corner: tuple[int, int], colour: Colour, ink: Colour, more: Sequence[str]
) -> None:
    """Draws an example of each part of a bar, with its explanation.

    Args:
        image: Picture to draw on, in place.
        corner: Left end (x, y) of the base line, in pixels.
        colour: Colour of the examples.
        ink: Colour of the text.
        more: Further texts, without examples.
    """
    x, y = corner
    examples: tuple[tuple[str, list[DrawnRun] | None], ...] = (
        ("box of a detection", [DrawnRun(0, 0, True)]),
        ("box extrapolated", [DrawnRun(0, 0, False)]),
        ("no box (not sure enough yet, or a better tube is drawn)", []),
        ("box shown live, outside the tube", None),
    )
    for text, drawn in examples:
        columns = (x, x + _SWATCH)
        bar = Bar(y - 12, y + 3, lambda first, last, place=columns: place)  # type: ignore[misc]
        if drawn is None:
            _fill(image, _strip(bar), columns, colour, solid=True)
        else:
            draw_bar(image, bar, 0, 0, drawn, colour)
        x += _SWATCH + 8
        put_text(image, text, (x, y), 11, ink)
        x += text_size(text, 11)[0] + 24
    for text in more:
        put_text(image, text, (x, y), 11, ink)
        x += text_size(text, 11)[0] + 24


def _strip(bar: Bar) -> tuple[int, int]:
    height = max(2, (bar.lower - bar.upper) // 3)
    upper = (bar.upper + bar.lower - height) // 2
    return upper, upper + height


def _fill(
    image: Array, rows: tuple[int, int], columns: tuple[int, int], colour: Colour, *, solid: bool
) -> None:
    if solid:
        _paint(image, rows, columns, colour)
        return
    _paint(image, rows, columns, lighter(colour, 0.75))
    # OpenCV's lines would cross the bar's edges, so a mask makes the hatching.
    y, x = np.mgrid[slice(*rows), slice(*columns)]
    part = image[slice(*rows), slice(*columns)]
    part[(x + y) % 8 < 3] = lighter(colour, 0.2)


def _paint(image: Array, rows: tuple[int, int], columns: tuple[int, int], colour: Colour) -> None:
    image[slice(*rows), slice(*columns)] = colour


def _outline(image: Array, rows: tuple[int, int], columns: tuple[int, int], colour: Colour) -> None:
    dark = tuple(round(value * 0.6) for value in colour)
    cv2.rectangle(image, (columns[0], rows[0]), (columns[1] - 1, rows[1] - 1), dark, 1)
