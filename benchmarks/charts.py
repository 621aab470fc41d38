"""Plots as SVG that takes its colours from the page; see ``edgekit.benchmarks.page``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

__all__ = ["bars", "frontier", "scatter", "stacked", "strips", "trend"]

_WIDTH = 920
_LEFT = 40
_RIGHT = 90
_BAR = 22
_ROW = 34
_AXIS = 26
_STRIP = 74
_LETTER = 6.5


def _svg(height: float, parts: Sequence[str], words: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(words)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{kind}">{escape(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, kind: str, hint: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
        f'class="{kind}"><title>{escape(hint)}</title></rect>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _dot(x: float, y: float, hint: str) -> str:
    title = f"<title>{escape(hint)}</title>"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="dot">{title}</circle>'


def _ticks(low: float, high: float, about: int = 5) -> Iterator[float]:
    """Round numbers from ``low`` to ``high``."""
    step = (high - low or 1.0) / about
    power = 10 ** math.floor(math.log10(step))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)
    for number in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1):
        yield number * step


def _across(high: float, bottom: float, unit: str) -> list[str]:
    """Upright grid lines from 0 to ``high``, with their numbers below."""
    parts = []
    for tick in _ticks(0, high):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * tick / high
        parts += [_line(x, 0, x, bottom), _text(x, bottom + 16, f"{tick:g}", "minor", "middle")]
    return [*parts, _text(_WIDTH - _RIGHT + 24, bottom + 16, unit, "minor")]


def stacked(rows: Mapping[str, Mapping[str, float]], totals: Mapping[str, float]) -> str:
    """Bars made of parts.

    Args:
        rows: For each name its parts in milliseconds; all have the same ones, in order.
        totals: What to write at the end of each bar.
    """
    high = max(sum(parts.values()) for parts in rows.values()) * 1.02 or 1.0
    bottom = _ROW * len(rows)
    drawn = _across(high, bottom, "ms")
    for place, (name, parts) in enumerate(rows.items()):
        y, x = _ROW * place + 6, float(_LEFT)
        drawn.append(_text(_LEFT - 10, y + 16, name, "", "end"))
        for number, (part, value) in enumerate(parts.items()):
            wide = (_WIDTH - _LEFT - _RIGHT) * value / high
            # A gap in the page's own colour keeps neighbours apart.
            shown = max(wide - 2, 0.5)
            drawn.append(_rect(x, y, shown, _BAR, f"s{number}", f"{name} {part}: {value:.2f} ms"))
            words = f"{value:.1f}"
            if wide > _LETTER * len(words) + 8:
                drawn.append(_text(x + shown / 2, y + 16, words, f"on{number}", "middle"))
            x += wide
        drawn.append(_text(x + 6, y + 16, f"{totals[name]:.2f}", "strong"))
    return _svg(bottom + _AXIS, drawn, "stages of each row, stacked")


def bars(rows: Mapping[str, float], unit: str) -> str:
    """A bar for each name."""
    high = max(rows.values()) * 1.02 or 1.0
    bottom = _ROW * len(rows)
    drawn = _across(high, bottom, unit)
    for place, (name, value) in enumerate(rows.items()):
        y, wide = _ROW * place + 6, (_WIDTH - _LEFT - _RIGHT) * value / high
        drawn += [
            _text(_LEFT - 10, y + 16, name, "", "end"),
            _rect(_LEFT, y, wide, _BAR, "s0", f"{name}: {value:.0f} {unit}"),
            _text(_LEFT + wide + 6, y + 16, f"{value:.0f}", "strong"),
        ]
    return _svg(bottom + _AXIS, drawn, f"{unit} of each row")


def strips(rows: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Every frame's milliseconds in the order in which they were measured, a strip a row.

    Args:
        rows: For each name its rounds. A strip ends at 1.5 times its 99th percentile; frames above
            it touch its top.
    """
    drawn, wide = [], _WIDTH - _LEFT - _RIGHT
    for place, (name, rounds) in enumerate(rows.items()):
        top = _STRIP * place
        values = [value for one in rounds for value in one]
        high = 1.5 * sorted(values)[int(0.99 * (len(values) - 1))] or 1.0
        base, tall = top + _STRIP - 14, _STRIP - 20

        def y(value: float, base: float = base, tall: float = tall, high: float = high) -> float:
            return base - tall * min(value / high, 1.0)

        drawn.append(_text(_LEFT - 10, base - tall / 2 + 4, name, "", "end"))
        drawn += [_line(_LEFT, y(tick), _LEFT + wide, y(tick)) for tick in _ticks(0, high, 2)]
        drawn += [
            _text(_LEFT + wide + 8, y(tick) + 4, f"{tick:g} ms", "minor")
            for tick in _ticks(0, high, 2)
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
                drawn.append(_line(x, base - tall, x, base, "cut"))
    return _svg(_STRIP * len(rows) + 4, drawn, "milliseconds of every frame, over time")


def trend(rows: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """What became of each row's milliseconds, a strip a row; each point has its date."""
    drawn, wide = [], _WIDTH - _LEFT - _RIGHT
    for place, (name, points) in enumerate(rows.items()):
        base, tall = _STRIP * (place + 1) - 14, _STRIP - 20
        high = 1.2 * max(value for _, value in points) or 1.0
        drawn.append(_text(_LEFT - 10, base - tall / 2 + 4, name, "", "end"))
        for tick in _ticks(0, high, 2):
            y = base - tall * tick / high
            drawn.append(_line(_LEFT, y, _LEFT + wide, y))
            drawn.append(_text(_LEFT + wide + 8, y + 4, f"{tick:g} ms", "minor"))
        places = [
            (_LEFT + 6 + (wide - 12) * index / (len(points) - 1), base - tall * value / high)
            for index, (_, value) in enumerate(points)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{path}" class="trace"/>')
        drawn += [
            _dot(x, y, f"{date}: {value:.2f} ms")
            for (x, y), (date, value) in zip(places, points, strict=True)
        ]
    return _svg(_STRIP * len(rows) + 4, drawn, "overall milliseconds of each row, run after run")


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names of the points that no other beats in both: lower x and higher y are better."""
    best, names = -math.inf, []
    for name, (_, y) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if y > best:
            best = y
            names.append(name)
    return names


def scatter(points: Mapping[str, tuple[float, float]]) -> str:
    """Accuracy in percent (up) against milliseconds (right), and the frontier of what is best."""
    height, top = 260.0, 16.0
    wide = _WIDTH - _LEFT - _RIGHT
    high = max(x for x, _ in points.values()) * 1.15 or 1.0
    levels = [y for _, y in points.values()]
    margin = max((max(levels) - min(levels)) * 0.3, 2.0)
    floor, ceiling = max(min(levels) - margin, 0.0), min(max(levels) + margin, 100.0)

    def place(name: str) -> tuple[float, float]:
        x, y = points[name]
        return _LEFT + wide * x / high, up(y)

    def up(y: float) -> float:
        return height - (height - top) * (y - floor) / (ceiling - floor)

    drawn = _across(high, height, "ms")
    for tick in _ticks(floor, ceiling):
        drawn.append(_line(_LEFT, up(tick), _LEFT + wide, up(tick)))
        drawn.append(_text(_LEFT - 8, up(tick) + 4, f"{tick:g}", "minor", "end"))
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
        hint = f"{name}: {accuracy:.1f}% at {milliseconds:.2f} ms"
        drawn.append(_dot(x, y, hint))
        drawn.append(_text(x + 9, y - 7, name, "strong"))
    return _svg(height + _AXIS, drawn, "accuracy against latency")
