"""Which of a camera's formats, sizes and rates is taken, and how they are told to people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.media._camera_pixels import FORMATS
from edgekit.media.v4l2 import Format
from edgekit.media.v4l2_capture import Mode

__all__ = ["Asked", "offered", "ranked"]

_SIZE = (640, 480)
_FPS = 30.0
_NEAR = 0.01
"""29.97 frames a second are given to who asks for 30."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a camera is asked for; None leaves the choice to EdgeKit.

    Attributes:
        size: Width and height.
        format: Four letters, such as ``MJPG``.
        fps: Frames a second.
    """

    size: tuple[int, int] | None = None
    format: str | None = None
    fps: float | None = None

    @property
    def target(self) -> tuple[tuple[int, int], float]:
        """The size and rate to ask a driver for; by default 640x480 and 30."""
        return self.size or _SIZE, self.fps or _FPS

    def is_met_by(self, mode: Mode) -> bool:
        """Whether a mode is one that was asked for."""
        return (
            (self.size is None or self.size == (mode.width, mode.height))
            and (self.format is None or self.format == mode.format)
            and (self.fps is None or abs(mode.fps - self.fps) <= _NEAR * self.fps)
            and mode.format in FORMATS
        )

    def __str__(self) -> str:
        size = f"{self.size[0]}x{self.size[1]}" if self.size else ""
        fps = f"{self.fps:g} FPS" if self.fps else ""
        return ", ".join(filter(None, (self.format, size, fps)))


def ranked(formats: Sequence[Format], asked: Asked) -> list[str]:
    """The names of the formats to try, the best first.

    A format is better that reaches the rate at the size; of those, one that is cheaper to read.

    Args:
        formats: Of the camera.
        asked: What it is to give.
    """
    size, fps = asked.target
    found = []
    for form in formats:
        if form.name not in FORMATS or asked.format not in (None, form.name):
            continue
        known = dict(zip(form.sizes, form.rates, strict=False))
        rate = max(known.get(size, ()), default=0.0)
        found.append((-min(rate, fps), FORMATS.index(form.name), form.name))
    return [name for *_, name in sorted(found)]


def offered(formats: Sequence[Format], *, width: int = 78, indent: str = "") -> list[str]:
    """Lines for people: the formats that have the same sizes and rates stand together.

    Example: ``MJPG: 1280x720 (30 FPS), 640x480 (60, 30 FPS)``.

    Args:
        formats: Of a camera.
        width: Characters of a line at most.
        indent: Begins each line.
    """
    groups: dict[tuple[object, ...], list[Format]] = {}
    for form in formats:
        groups.setdefault((form.sizes, form.rates), []).append(form)
    lines = []
    for group in groups.values():
        names = ", ".join(form.name for form in group)
        sizes, rates = group[0].sizes, group[0].rates
        told = [*rates, *[()] * (len(sizes) - len(rates))]
        modes = [_mode(*size, each) for size, each in zip(sizes, told, strict=True)]
        lines += textwrap.wrap(
            f"{names}: {', '.join(modes) or 'it does not tell its sizes'}",
            width,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _mode(width: int, height: int, rates: Sequence[float]) -> str:
    fps = f" ({', '.join(f'{rate:g}' for rate in rates)} FPS)" if rates else ""
    return f"{width}x{height}{fps}"
