"""Draws accuracy and frame age against the share of frames that a board processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgekit.benchmarks.report.report import LoadPoint
from edgekit.reporting.svg import WIDTH, dot, line, svg, text, ticks

__all__ = ["load_chart"]

_LEFT = 40
_GAP = 60
_TALL = 190.0
_TOP = 30.0
_COLOURS = 6


def load_chart(rows: Mapping[str, Sequence[LoadPoint]]) -> str:
    """Returns three panels with a line for each row: frame-mAP, video-mAP, and frame age.

    Args:
        rows: Points of each row, by name; all rows have the same shares.
    """
    names = list(rows)
    key = "".join(
        f'<span><i class="s{place % _COLOURS}"></i>{name}</span>' for place, name in enumerate(rows)
    )
    ages = [point.age_p50 for points in rows.values() for point in points]
    panels: list[tuple[str, Callable[[LoadPoint], float], float, str]] = [
        ("frame-mAP@0.5", lambda point: point.frame_map, 1.0, ".3f"),
        ("video-mAP@0.5", lambda point: point.video_map["0.5"], 1.0, ".3f"),
        ("median age of frames, ms", lambda point: point.age_p50, 1.1 * max(ages) or 1.0, ".1f"),
    ]
    wide = (WIDTH - _LEFT - 20 - _GAP * (len(panels) - 1)) / len(panels)
    drawn: list[str] = []
    for number, (title, value_of, high, form) in enumerate(panels):
        left = _LEFT + number * (wide + _GAP)
        bottom = _TOP + _TALL
        drawn.append(text(left, _TOP - 14, title, "strong"))
        for tick in ticks(0, high):
            y = bottom - _TALL * tick / high
            drawn += [
                line(left, y, left + wide, y),
                text(left - 8, y + 4, f"{tick:g}", "minor", "end"),
            ]
        for place, name in enumerate(names):
            points = rows[name]
            step = wide / max(len(points) - 1, 1)
            spots = [
                (left + step * index, bottom - _TALL * min(value_of(point) / high, 1.0), point)
                for index, point in enumerate(points)
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots)
            colour = f"stroke: var(--s{place % _COLOURS})"
            drawn.append(f'<polyline points="{path}" class="trace" style="{colour}"/>')
            for x, y, point in spots:
                hint = f"{name}, {_share(point)}: {format(value_of(point), form)}"
                drawn.append(dot(x, y, hint, f"s{place % _COLOURS}", 4))
                if place == 0:
                    drawn.append(text(x, bottom + 18, _share(point), "minor", "middle"))
    words = "accuracy and age of frames against the share of frames that the board takes"
    return f'<p class="key">{key}</p>' + svg(_TOP + _TALL + 26, drawn, words)


def _share(point: LoadPoint) -> str:
    return "each" if point.every == 1 else f"1/{point.every}"
