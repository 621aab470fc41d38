"""Draws the plots of an evaluation's report as SVG, in the colours of its page."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.metrics.analysis.records import ClassFigures, Confusion, EarlyLabels, ErrorFigures
from edgekit.reporting.svg import LETTER, WIDTH, dot, line, rect, svg, text, ticks

__all__ = ["confusion", "curves", "early", "gains"]

_COLUMNS = 4
_GAP = 48
_TALL = 130.0
_PANEL = 190.0
_BAR = 22
_ROW = 34
_LEFT = 190
_RIGHT = 90


def curves(frames: Sequence[ClassFigures], tubes: Sequence[ClassFigures]) -> str:
    """Returns a panel for each class: precision (up) against recall (right) of boxes and tubes."""
    wide = (WIDTH - 40 - _GAP * (_COLUMNS - 1)) / _COLUMNS
    of_tubes = {one.name: one for one in tubes}
    drawn: list[str] = []
    for number, one in enumerate(frames):
        row, column = divmod(number, _COLUMNS)
        left, top = 30 + column * (wide + _GAP), row * _PANEL + 26
        bottom = top + _TALL
        name = _cut(one.name, wide)
        drawn.append(text(left, top - 10, name, "strong"))
        for tick in (0.0, 0.5, 1.0):
            x, y = left + wide * tick, bottom - _TALL * tick
            drawn += [
                line(left, y, left + wide, y),
                line(x, top, x, bottom),
                text(left - 5, y + 4, f"{tick:g}", "minor", "end"),
                text(x, bottom + 15, f"{tick:g}", "minor", "middle"),
            ]
        both = [(one, "s0"), *((of_tubes[n], "s1") for n in (one.name,) if n in of_tubes)]
        for figures, colour in both:
            drawn.append(_line(figures.curve, left, bottom, wide, colour))
            if figures.score is not None:
                hint = (
                    f"{one.name}: precision {figures.precision:.2f} and recall "
                    f"{figures.recall:.2f} at a score of {figures.score:.2f}"
                )
                x, y = left + wide * figures.recall, bottom - _TALL * figures.precision
                drawn.append(dot(x, y, hint, colour, 4))
    height = ((len(frames) - 1) // _COLUMNS + 1) * _PANEL
    return svg(height, drawn, "precision against recall of each class")


def gains(errors: Sequence[ErrorFigures]) -> str:
    """Returns a plot with a bar for each kind of error: the mAP that repairing it would add."""
    high = max(max(one.gain for one in errors) * 1.05, 0.01)
    bottom = _ROW * len(errors)
    wide = WIDTH - _LEFT - _RIGHT
    drawn: list[str] = []
    for tick in ticks(0, high):
        x = _LEFT + wide * tick / high
        drawn += [line(x, 0, x, bottom), text(x, bottom + 16, f"{tick:g}", "minor", "middle")]
    for place, one in enumerate(errors):
        y, length = _ROW * place + 6, wide * max(one.gain, 0.0) / high
        drawn += [
            text(_LEFT - 10, y + 16, one.kind, "", "end"),
            rect(_LEFT, y, length, _BAR, "s0", f"{one.kind}: {one.gain:+.3f}"),
            text(_LEFT + length + 6, y + 16, f"{one.gain:+.3f}", "strong"),
        ]
    return svg(bottom + 26, drawn, "mean AP that repairing each kind of error would add")


def early(points: Sequence[EarlyLabels]) -> str:
    """Returns a plot of accuracy (up) against the share of the video seen (right)."""
    left, wide, top, bottom = 40.0, WIDTH - 80.0, 14.0, 194.0
    drawn: list[str] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - (bottom - top) * tick
        drawn += [
            line(left, y, left + wide, y),
            text(left - 8, y + 4, f"{tick:g}", "minor", "end"),
        ]
    spots = [
        (left + wide * one.share, bottom - (bottom - top) * one.accuracy, one) for one in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots)
    drawn.append(f'<polyline points="{path}" class="trace"/>')
    for x, y, one in spots:
        drawn.append(dot(x, y, f"{one.accuracy:.3f} after {one.share:.0%} of the video"))
        drawn.append(text(x, bottom + 18, f"{one.share:.0%}", "minor", "middle"))
    return svg(bottom + 26, drawn, "accuracy of the class against the share of the video seen")


def confusion(matrix: Confusion) -> str:
    """Returns a plot of a confusion matrix; the columns have the numbers of the rows."""
    rows = [*(f"{name}  {n}" for n, name in enumerate(matrix.names, 1)), "no annotated box"]
    columns = [*(str(n) for n in range(1, len(matrix.names) + 1)), "none"]
    cell = min((WIDTH - _LEFT - 20) / len(columns), 56.0)
    tall = min(cell, 30.0)
    drawn = [
        text(_LEFT + cell * (column + 0.5), 14, name, "minor", "middle")
        for column, name in enumerate(columns)
    ]
    for row, (name, counts) in enumerate(zip(rows, matrix.counts, strict=True)):
        y = 22 + tall * row
        drawn.append(text(_LEFT - 8, y + tall / 2 + 4, _cut(name, _LEFT - 8), "", "end"))
        most = max(sum(counts), 1)
        for column, count in enumerate(counts):
            if not count:
                continue
            x = _LEFT + cell * column
            # A share of the row: rare classes are as visible as common ones.
            shade = 0.12 + 0.88 * count / most
            hint = f"{name.split('  ')[0]} found as {_column(matrix, column)}: {count}"
            drawn.append(
                f'<g opacity="{shade:.2f}">{rect(x, y, cell - 2, tall - 2, "s0", hint)}</g>'
            )
            words = str(count)
            if len(words) * LETTER < cell - 2:
                kind = "on0" if shade > 0.6 else ""
                drawn.append(text(x + cell / 2, y + tall / 2 + 4, words, kind, "middle"))
    return svg(28 + tall * len(rows), drawn, "annotated classes (rows) against found classes")


def _column(matrix: Confusion, column: int) -> str:
    return matrix.names[column] if column < len(matrix.names) else "nothing"


def _line(values: Sequence[float], left: float, bottom: float, wide: float, colour: str) -> str:
    """Returns a curve over evenly spaced values from 0 to 1, down to its first 0."""
    shown = values[: next((n + 1 for n, value in enumerate(values) if value <= 0), len(values))]
    step = wide / (len(values) - 1)
    points = " ".join(
        f"{left + step * n:.1f},{bottom - _TALL * value:.1f}" for n, value in enumerate(shown)
    )
    return f'<polyline points="{points}" class="trace" style="stroke: var(--{colour})"/>'


def _cut(words: str, wide: float) -> str:
    """Returns words that fit into a width."""
    most = max(int(wide / LETTER), 2)
    return words if len(words) <= most else f"{words[: most - 1]}…"
