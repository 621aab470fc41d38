"""Chooses a camera's format, size and rate, and lists them for messages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.media.sources.cameras._pixels import FORMATS
from edgekit.media.sources.cameras.v4l2 import Format
from edgekit.media.sources.cameras.v4l2_capture import Mode

__all__ = ["Asked", "offered", "ranked"]

_SIZE = (640, 480)
_FPS = 30.0
_NEAR = 0.01
"""Relative tolerance for frame rates: 29.97 frames per second satisfy a request for 30."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Requested camera mode; None leaves the choice to EdgeKit.

    Attributes:
        size: Width and height in pixels.
        format: FourCC, such as ``MJPG``.
        fps: Frames per second.
    """

    size: tuple[int, int] | None = None
    format: str | None = None
    fps: float | None = None

    @property
    def target(self) -> tuple[tuple[int, int], float]:
        """Size and rate to ask a driver for; the defaults are 640x480 and 30 frames per second."""
        return self.size or _SIZE, self.fps or _FPS

    def is_met_by(self, mode: Mode) -> bool:
        """Returns whether a mode satisfies the request."""
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
    """Returns the names of the formats to try, best first.

    Formats that reach the rate at the size come first; among these, formats that are cheaper to
    convert.

    Args:
        formats: Formats of the camera.
        asked: Requested mode.
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
    """Lists formats for messages; formats with the same sizes and rates share a line.

    Example: ``MJPG: 1280x720 (30 FPS), 640x480 (60, 30 FPS)``.

    Args:
        formats: Formats of a camera.
        width: Longest line, in characters.
        indent: Indentation of each line.
    """
    groups: dict[tuple[object, ...], list[Format]] = {}
    for form in formats:
        groups.setdefault((form.sizes, form.rates), []).append(form)
    lines = []
    for group in groups.values():
        names = ", ".join(form.name for form in group)
        sizes, rates = group[0].sizes, group[0].rates
        padded = [*rates, *[()] * (len(sizes) - len(rates))]
        modes = [_mode(*size, each) for size, each in zip(sizes, padded, strict=True)]
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
