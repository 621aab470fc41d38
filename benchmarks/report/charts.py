"""Draws plots as SVG that takes its colours from the page around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgekit.reporting.svg import LETTER, WIDTH, dot, line, rect, svg, text, ticks

__all__ = ["bars", "frontier", "scatter", "stacked", "strips", "trend"]

_LEFT = 40
_RIGHT = 90
_BAR = 22
_ROW = 34
_AXIS = 26
_STRIP = 74


def _across(high: float, bottom: float, unit: str) -> list[str]:
    """Returns vertical grid lines from 0 to ``high``, with their numbers below."""
    parts = []
    for tick in ticks(0, high):
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * tick / high
        parts += [line(x, 0, x, bottom), text(x, bottom + 16, f"{tick:g}", "minor", "middle")]
    return [*parts, text(WIDTH - _RIGHT + 24, bottom + 16, unit, "minor")]


def stacked(rows: Mapping[str, Mapping[str, float]], totals: Mapping[str, float]) -> str:
    """Returns a plot of stacked bars.

    Args:
        rows: Parts of each bar in milliseconds, by name; all bars have the same parts, in order.
        totals: Number to write at the end of each bar.
    """
    high = max(sum(parts.values()) for parts in rows.values()) * 1.02 or 1.0
    bottom = _ROW * len(rows)
    drawn = _across(high, bottom, "ms")
    for place, (name, parts) in enumerate(rows.items()):
        y, x = _ROW * place + 6, float(_LEFT)
        drawn.append(text(_LEFT - 10, y + 16, name, "", "end"))
        for number, (part, value) in enumerate(parts.items()):
            wide = (WIDTH - _LEFT - _RIGHT) * value / high
            # A gap in the page's background colour separates neighbours.
            shown = max(wide - 2, 0.5)
            drawn.append(rect(x, y, shown, _BAR, f"s{number}", f"{name} {part}: {value:.2f} ms"))
            words = f"{value:.1f}"
            if wide > LETTER * len(words) + 8:
                drawn.append(text(x + shown / 2, y + 16, words, f"on{number}", "middle"))
            x += wide
        drawn.append(text(x + 6, y + 16, f"{totals[name]:.2f}", "strong"))
    return svg(bottom + _AXIS, drawn, "stages of each row, stacked")


def bars(rows: Mapping[str, float], unit: str) -> str:
    """Returns a plot with one bar for each name."""
    high = max(rows.values()) * 1.02 or 1.0
    bottom = _ROW * len(rows)
    drawn = _across(high, bottom, unit)
    for place, (name, value) in enumerate(rows.items()):
        y, wide = _ROW * place + 6, (WIDTH - _LEFT - _RIGHT) * value / high
        drawn += [
            text(_LEFT - 10, y + 16, name, "", "end"),
            rect(_LEFT, y, wide, _BAR, "s0", f"{name}: {value:.0f} {unit}"),
            text(_LEFT + wide + 6, y + 16, f"{value:.0f}", "strong"),
        ]
    return svg(bottom + _AXIS, drawn, f"{unit} of each row")


def strips(rows: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Returns a plot of every frame's milliseconds in measured order, one strip per row.

    Args:
        rows: Rounds of each row, by name. A strip ends at 1.5 times its 99th percentile; frames
            above it touch its top.
    """
    drawn, wide = [], WIDTH - _LEFT - _RIGHT
    for place, (name, rounds) in enumerate(rows.items()):
        top = _STRIP * place
        values = [value for one in rounds for value in one]
        high = 1.5 * sorted(values)[int(0.99 * (len(values) - 1))] or 1.0
        base, tall = top + _STRIP - 14, _STRIP - 20

        def y(value: float, base: float = base, tall: float = tall, high: float = high) -> float:
            return base - tall * min(value / high, 1.0)

        drawn.append(text(_LEFT - 10, base - tall / 2 + 4, name, "", "end"))
        drawn += [line(_LEFT, y(tick), _LEFT + wide, y(tick)) for tick in ticks(0, high, 2)]
        drawn += [
            text(_LEFT + wide + 8, y(tick) + 4, f"{tick:g} ms", "minor")
            for tick in ticks(0, high, 2)
        ]
        done = 0
        for one in rounds:
            points = [
                f"{_LEFT + wide * (done + index) / max(len(values) - 1, 1):.1f},{y(value):.1f}"
                for index, value in enumerate(one)
            ]
            drawn.append(f'<polyline points="{" ".join(points)}" class="trace"/>')
            done += len(one)
            if done < len(values):
                x = _LEFT + wide * (done - 0.5) / (len(values) - 1)
                drawn.append(line(x, base - tall, x, base, "cut"))
    return svg(_STRIP * len(rows) + 4, drawn, "milliseconds of every frame, over time")


def trend(rows: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """Returns a plot of each row's milliseconds over time, one strip per row, with dates."""
    drawn, wide = [], WIDTH - _LEFT - _RIGHT
    for place, (name, points) in enumerate(rows.items()):
        base, tall = _STRIP * (place + 1) - 14, _STRIP - 20
        high = 1.2 * max(value for _, value in points) or 1.0
        drawn.append(text(_LEFT - 10, base - tall / 2 + 4, name, "", "end"))
        for tick in ticks(0, high, 2):
            y = base - tall * tick / high
            drawn.append(line(_LEFT, y, _LEFT + wide, y))
            drawn.append(text(_LEFT + wide + 8, y + 4, f"{tick:g} ms", "minor"))
        places = [
            (_LEFT + 6 + (wide - 12) * index / (len(points) - 1), base - tall * value / high)
            for index, (_, value) in enumerate(points)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{path}" class="trace"/>')
        drawn += [
            dot(x, y, f"{date}: {value:.2f} ms")
            for (x, y), (date, value) in zip(places, points, strict=True)
        ]
    return svg(_STRIP * len(rows) + 4, drawn, "overall milliseconds of each row, run after run")


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Returns names of the points that no other beats in both: low x and high y are best."""
    best, names = -math.inf, []
    for name, (_, y) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if y > best:
            best = y
            names.append(name)
    return names


def scatter(points: Mapping[str, tuple[float, float]]) -> str:
    """Returns a plot of accuracy (0 to 1, up) against milliseconds (right), with its frontier."""
    height, top = 260.0, 16.0
    wide = WIDTH - _LEFT - _RIGHT
    high = max(x for x, _ in points.values()) * 1.15 or 1.0
    levels = [y for _, y in points.values()]
    margin = max((max(levels) - min(levels)) * 0.3, 0.02)
    floor, ceiling = max(min(levels) - margin, 0.0), min(max(levels) + margin, 1.0)

    def place(name: str) -> tuple[float, float]:
        x, y = points[name]
        return _LEFT + wide * x / high, up(y)

    def up(y: float) -> float:
        return height - (height - top) * (y - floor) / (ceiling - floor)

    drawn = _across(high, height, "ms")
    for tick in ticks(floor, ceiling):
        drawn.append(line(_LEFT, up(tick), _LEFT + wide, up(tick)))
        drawn.append(text(_LEFT - 8, up(tick) + 4, f"{tick:g}", "minor", "end"))
    steps: list[str] = []
    for name in frontier(points):
        x, y = place(name)
        if steps:
            steps.append(f"H {x:.1f} V {y:.1f}")
        else:
            steps.append(f"M {x:.1f} {height:.1f} V {y:.1f}")
    drawn.append(f'<path d="{" ".join(steps)} H {_LEFT + wide}" class="frontier"/>')
    for name, (milliseconds, accuracy) in points.items():
        x, y = place(name)
        hint = f"{name}: {accuracy:.3f} at {milliseconds:.2f} ms"
        drawn.append(dot(x, y, hint))
        drawn.append(text(x + 9, y - 7, name, "strong"))
    return svg(height + _AXIS, drawn, "accuracy against latency")
