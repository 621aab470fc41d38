"""Draws plots of quantization loss, as SVG that takes its colours from the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.bundle import RoundingCheck
from edgekit.quantization.report.report import ActivationRow
from edgekit.reporting.svg import LETTER, WIDTH, dot, line, rect, svg, text, ticks

__all__ = ["histograms", "ranges", "sensitivity"]

_NAMES = 250
_ROW = 17
_AXIS = 34
_LONGEST = int((_NAMES - 12) / LETTER)
_LOST = 150
"""Width of the bar for the share of lost detections."""

_COLUMNS = 3
_GAP = 24
_TALL = 70
_CELL = 126


def sensitivity(rows: Mapping[str, RoundingCheck], marked: frozenset[str] = frozenset()) -> str:
    """Returns a line per layer: a dot per head for signal to noise, and a bar for lost detections.

    Args:
        rows: Loss of each layer when only that layer is quantized, by name, in drawing order.
        marked: Names of the layers that stayed float, which get a ring.
    """
    heads = list(next(iter(rows.values())).sqnr)
    wide = WIDTH - _NAMES - _LOST - 60 if heads else 0
    values = [decibels for check in rows.values() for decibels in check.sqnr.values()]
    low, high = (min(values) - 2, max(values) + 2) if values else (0.0, 1.0)
    most = max(1 - check.agreement for check in rows.values()) or 0.01
    start = _NAMES + wide + (40 if heads else 0)
    bottom = _ROW * len(rows) + 4.0

    def across(decibels: float) -> float:
        return _NAMES + wide * (decibels - low) / (high - low)

    def lost(share: float) -> float:
        return _LOST * share / most

    drawn = []
    for tick in ticks(low, high) if heads else ():
        drawn += [
            line(across(tick), 0, across(tick), bottom),
            text(across(tick), bottom + 14, f"{tick:g}", "minor", "middle"),
        ]
    for tick in ticks(0, most, 2):
        x = start + lost(tick)
        drawn += [
            line(x, 0, x, bottom),
            text(x, bottom + 14, f"{tick:g}", "minor", "middle"),
        ]
    if heads:
        words = "signal to noise of the heads in decibels: the further left, the worse"
        drawn.append(text(_NAMES, bottom + 30, words, "minor"))
    drawn.append(text(start, bottom + 30, "share of detections lost", "minor"))
    for place, (name, check) in enumerate(rows.items()):
        y = _ROW * place + _ROW / 2 + 2
        shown = fitted(name)
        drawn.append('<g class="row">')
        drawn.append(rect(0, y - _ROW / 2, WIDTH, _ROW, "band", name))
        kind = "strong" if name in marked else ""
        drawn.append(text(_NAMES - 12, y + 4, shown, kind, "end"))
        drawn += [
            dot(
                across(check.sqnr[head]),
                y,
                f"{name}, {head}: {check.sqnr[head]:.1f} dB",
                f"s{number} dotted",
                4.5,
            )
            for number, head in enumerate(heads)
        ]
        share = 1 - check.agreement
        drawn.append(rect(start, y - 5, lost(share), 10, "s5", f"{name}: {share:.3f} lost"))
        drawn.append("</g>")
    return svg(bottom + _AXIS, drawn, "loss with only this layer quantized")


def histograms(rows: Sequence[tuple[str, ActivationRow]]) -> str:
    """Returns the distribution of each layer's input; values outside the integer range are grey.

    Args:
        rows: Names of layers, and their inputs.
    """
    wide = (WIDTH - _GAP * (_COLUMNS - 1)) / _COLUMNS
    drawn = []
    for place, (name, row) in enumerate(rows):
        left = (wide + _GAP) * (place % _COLUMNS)
        top = float(_CELL * (place // _COLUMNS))
        drawn += _histogram(left, top, wide, name, row)
    lines = -(-len(rows) // _COLUMNS)
    return svg(_CELL * lines, drawn, "distributions of the layers' inputs")


def ranges(rows: Sequence[tuple[str, ActivationRow]]) -> str:
    """Returns a line per layer: thin for the range of values, thick for the integer range."""
    bottom, wide = _ROW * len(rows) + 4.0, WIDTH - _NAMES - 20
    ends = [(row.low, row.high, row.rounded_low, row.rounded_high) for _, row in rows]
    low, high = min(map(min, ends)), max(map(max, ends))

    def across(value: float) -> float:
        return _NAMES + wide * (value - low) / ((high - low) or 1.0)

    drawn = []
    for tick in ticks(low, high, 8):
        x = across(tick)
        drawn += [line(x, 0, x, bottom), text(x, bottom + 14, f"{tick:g}", "minor", "middle")]
    for place, (name, row) in enumerate(rows):
        y = _ROW * place + _ROW / 2 + 2
        hint = (
            f"{name} has inputs from {row.low:.3g} to {row.high:.3g}; integers span "
            f"{row.rounded_low:.3g} to {row.rounded_high:.3g}"
        )
        first, last = across(row.rounded_low), across(row.rounded_high)
        drawn += [
            text(_NAMES - 12, y + 4, fitted(name), "", "end"),
            rect(first, y - 5, max(last - first, 1), 10, "span", hint),
            rect(
                across(row.low), y - 1.5, max(across(row.high) - across(row.low), 1), 3, "s0", hint
            ),
        ]
    return svg(bottom + 20, drawn, "ranges of the layers' inputs")


def fitted(name: str) -> str:
    """Returns a name shortened in its middle to the available width."""
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"


def _histogram(left: float, top: float, wide: float, name: str, row: ActivationRow) -> list[str]:
    base = top + 24 + _TALL
    # The square root keeps rare values visible beside the many zeros.
    tall = [count**0.5 for count in row.counts]
    high, width = max(tall) or 1.0, wide / len(tall)
    step = (row.high - row.low) / len(tall)
    drawn = [text(left, top + 12, fitted(name), "strong")]
    drawn.append(text(left + wide, top + 12, f"{row.sqnr:.1f} dB", "minor", "end"))
    for place, value in enumerate(tall):
        if value:
            middle = row.low + step * (place + 0.5)
            kind = "s0" if row.rounded_low <= middle <= row.rounded_high else "cutoff"
            hint = f"{row.counts[place]} values about {middle:.3g}"
            size = _TALL * value / high
            drawn.append(rect(left + width * place, base - size, width, size, kind, hint))
    drawn.append(line(left, base, left + wide, base))
    drawn.append(text(left, base + 14, f"{row.low:.3g}", "minor"))
    drawn.append(text(left + wide, base + 14, f"{row.high:.3g}", "minor", "end"))
    return drawn
