"""Plots the time of operators: bars by type of operator, and a roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from edgekit.benchmarks.report.operator_tables import groups_of
from edgekit.measuring.operator_times import OperatorTimes
from edgekit.measuring.peak import Peak
from edgekit.reporting.svg import LETTER, WIDTH, dot, line, rect, svg, text, ticks

__all__ = ["operator_plots"]

_LEFT = 60
_RIGHT = 90
_ROW = 34
_BAR = 22
_COLOURS = 6
_TALL = 300.0
_REST = "others"


def _operator_key(rows: Mapping[str, OperatorTimes]) -> list[str]:
    """Returns the types that get a colour of their own, most time first; then the others."""
    sums: dict[str, float] = {}
    for times in rows.values():
        for group in groups_of(times):
            sums[group.name] = sums.get(group.name, 0.0) + group.ms
    names = sorted(sums, key=lambda name: -sums[name])
    return names if len(names) <= _COLOURS else [*names[: _COLOURS - 1], _REST]


def _operator_bars(rows: Mapping[str, OperatorTimes], key: Sequence[str]) -> str:
    """Returns a stacked bar of each row's operators by type; the rest of its time is empty.

    Args:
        rows: Times of each row, by its name.
        key: Types with a colour of their own, as ``_operator_key`` returns them.
    """
    high = 1.02 * max(times.profiled_ms for times in rows.values())
    bottom, wide = _ROW * len(rows), WIDTH - _LEFT - _RIGHT
    drawn = []
    for tick in ticks(0, high):
        x = _LEFT + wide * tick / high
        drawn += [line(x, 0, x, bottom), text(x, bottom + 16, f"{tick:g}", "minor", "middle")]
    drawn.append(text(WIDTH - _RIGHT + 24, bottom + 16, "ms", "minor"))
    for place, (name, times) in enumerate(rows.items()):
        y, x = _ROW * place + 6, float(_LEFT)
        drawn.append(text(_LEFT - 10, y + 16, name, "", "end"))
        parts = dict.fromkeys(key, 0.0)
        for group in groups_of(times):
            parts[group.name if group.name in parts else _REST] += group.ms
        for number, (kind, ms) in enumerate(parts.items()):
            across = wide * ms / high
            if not ms:
                continue
            # A gap in the page's background colour separates neighbours.
            shown = max(across - 2, 0.5)
            drawn.append(rect(x, y, shown, _BAR, f"s{number}", f"{name} {kind}: {ms:.3f} ms"))
            if across > LETTER * 4 + 8:
                drawn.append(text(x + shown / 2, y + 16, f"{ms:.1f}", f"on{number}", "middle"))
            x += across
        end = _LEFT + wide * times.profiled_ms / high
        drawn.append(text(max(end, x) + 6, y + 16, f"{times.profiled_ms:.2f}", "strong"))
    return svg(bottom + 26, drawn, "time of each row by type of operator, stacked")


def _roofline(times: OperatorTimes, peak: Peak, key: Sequence[str]) -> str:
    """Returns a plot of each layer with multiply-adds, under the roof of the machine.

    To the right: multiply-adds for each byte that is moved. Up: multiply-adds a second. A dot's
    area is the layer's share of the time.

    Args:
        times: Times of the operators, at least one with multiply-adds.
        peak: Peak of the machine.
        key: Types with a colour of their own, as ``_operator_key`` returns them.
    """
    points = [
        (operator, operator.macs / operator.bytes, operator.macs / operator.ms / 1e6)
        for operator in times.operators
        if operator.macs and operator.bytes and operator.ms > 0
    ]
    ridge = peak.gmacs / peak.gbytes
    left, right = _decades([ridge, *(x for _, x, _ in points)])
    low, high = _decades([peak.gmacs, *(y for _, _, y in points)])
    wide, top = WIDTH - _LEFT - _RIGHT, 24.0

    def across(x: float) -> float:
        return _LEFT + wide * (math.log10(x) - left) / (right - left)

    def up(y: float) -> float:
        return top + (_TALL - top) * (high - math.log10(y)) / (high - low)

    drawn = []
    for power in range(left, right + 1):
        x = across(10.0**power)
        drawn += [
            line(x, top, x, _TALL),
            text(x, _TALL + 16, f"{10.0**power:g}", "minor", "middle"),
        ]
    for power in range(low, high + 1):
        y = up(10.0**power)
        drawn += [
            line(_LEFT, y, _LEFT + wide, y),
            text(_LEFT - 8, y + 4, f"{10.0**power:g}", "minor", "end"),
        ]
    start = max(10.0**left, 10.0**low / peak.gbytes)
    roof = [(start, start * peak.gbytes), (ridge, peak.gmacs), (10.0**right, peak.gmacs)]
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in roof)
    drawn += [
        f'<polyline points="{path}" class="frontier"/>',
        text(_LEFT + wide + 8, up(peak.gmacs) + 4, f"{peak.gmacs:g} GMAC/s", "minor"),
        text(across(start) + 6, up(start * peak.gbytes) - 10, f"{peak.gbytes:g} GB/s", "minor"),
        text(_LEFT - 8, 12, "GMAC/s", "minor", "end"),
        text(_LEFT + wide + 18, _TALL + 16, "MAC a byte", "minor"),
    ]
    for operator, x, y in points:
        number = key.index(operator.type if operator.type in key else _REST)
        radius = max(2.5, 40 * math.sqrt(operator.ms / times.profiled_ms))
        hint = f"{operator.name}, {operator.type}: {operator.ms:.3f} ms, {y:.1f} GMAC/s"
        drawn.append(dot(across(x), up(y), hint, f"s{number}", radius))
    return svg(_TALL + 26, drawn, "layers under the roof of the machine's peak")


def _legend(key: Sequence[str]) -> str:
    """Returns the colours of the types."""
    spans = (f'<span><i class="s{n}"></i>{escape(name)}</span>' for n, name in enumerate(key))
    return f'<p class="key">{"".join(spans)}</p>'


def operator_plots(
    rows: Mapping[str, OperatorTimes], peaks: Mapping[str, Peak | None]
) -> list[str]:
    """Returns headings and plots of the rows that have operators; none if no row has.

    Args:
        rows: Times of each row, by its name.
        peaks: Peak of the machine for each row.
    """
    if not rows:
        return []
    key = _operator_key(rows)
    parts = [
        "<h2>Where the time of the network goes, by type of operator</h2>",
        _legend(key),
        _operator_bars(rows, key),
    ]
    for name, times in rows.items():
        peak = peaks[name]
        if peak is not None and any(operator.macs for operator in times.operators):
            threads = f"{peak.threads} thread{'s' * (peak.threads > 1)}"
            parts += [
                f"<h2>Row {escape(name)} under the roof of this machine with {threads}: a dot is "
                "a layer, its area is the layer's time</h2>",
                _legend(key),
                _roofline(times, peak, key),
            ]
    return parts


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Returns the powers of ten around positive values, at least one apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
