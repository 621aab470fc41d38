"""Shapes and text of a plot as SVG; the page around it has the classes that colour them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

__all__ = ["LETTER", "WIDTH", "dot", "line", "rect", "svg", "text", "ticks"]

WIDTH = 920
"""Width of every plot, in units that are pixels if the page is wide enough."""

LETTER = 6.5
"""Approximate width of a letter."""


def svg(height: float, parts: Sequence[str], words: str) -> str:
    """Returns a plot of width ``WIDTH`` with the given parts; ``words`` is its description."""
    box = f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(words)}"'
    return f'<div class="wide"><svg {box}>{"".join(parts)}</svg></div>'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Returns text with its baseline at ``y`` and its ``anchor`` at ``x``."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{kind}">{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str, hint: str) -> str:
    """Returns a box from its upper left corner; ``hint`` is its tooltip."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
        f'class="{kind}"><title>{escape(hint)}</title></rect>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    """Returns a line; those of class ``grid`` are behind the data."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dot(x: float, y: float, hint: str, kind: str = "dot", radius: float = 5) -> str:
    """Returns a dot; ``hint`` is its tooltip."""
    title = f"<title>{escape(hint)}</title>"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}">{title}</circle>'


def ticks(low: float, high: float, about: int = 5) -> Iterator[float]:
    """Yields round numbers from ``low`` to ``high``."""
    step = (high - low or 1.0) / about
    power = 10 ** math.floor(math.log10(step))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)
    for number in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1):
        yield number * step
