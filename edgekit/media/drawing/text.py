"""Draws text, and chooses colours that are readable on any picture."""

from __future__ import annotations

from edgekit.media._opencv import cv2
from edgekit.runtime.types import Array

__all__ = ["Colour", "colour_of", "contrast", "lighter", "put_text", "text_size"]

Colour = tuple[int, int, int]
"""Blue, green and red, each 0 to 255."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL_HEIGHT = 22.0
"""Height of the font's capitals at scale 1, in pixels."""

# The colours differ in hue and brightness; none is common in skin, grass or sky.
_PALETTE: tuple[Colour, ...] = (
    (60, 76, 255),
    (255, 176, 0),
    (80, 220, 80),
    (0, 200, 255),
    (255, 90, 200),
    (230, 230, 60),
    (60, 140, 255),
    (200, 120, 120),
    (40, 150, 150),
    (160, 60, 230),
    (140, 170, 0),
    (60, 100, 165),
)


def colour_of(label: int) -> Colour:
    """Returns the fixed colour of a class; the first 24 classes have distinct colours."""
    turn, place = divmod(label, len(_PALETTE))
    blue, green, red = _PALETTE[place]
    return (blue, green, red) if turn % 2 == 0 else (blue * 5 // 9, green * 5 // 9, red * 5 // 9)


def contrast(colour: Colour) -> Colour:
    """Returns black or white, whichever contrasts with ``colour``."""
    blue, green, red = colour
    bright = 0.114 * blue + 0.587 * green + 0.299 * red > 140
    return (0, 0, 0) if bright else (255, 255, 255)


def lighter(colour: Colour, share: float) -> Colour:
    """Mixes ``colour`` with ``share`` of white, from 0 to 1."""
    blue, green, red = (round(value + (255 - value) * share) for value in colour)
    return blue, green, red


def _scale(height: float) -> tuple[float, int]:
    return height / _CAPITAL_HEIGHT, max(1, round(height / 11))


def text_size(text: str, height: float) -> tuple[int, int]:
    """Returns width and depth below the base line in pixels, for capitals of this height."""
    scale, thickness = _scale(height)
    (width, _), depth = cv2.getTextSize(text, _FONT, scale, thickness)
    return int(width), int(depth)


def put_text(
    image: Array, text: str, corner: tuple[int, int], height: float, colour: Colour
) -> None:
    """Writes text on a picture (H, W, 3), in place.

    Args:
        image: Picture to write on.
        text: ASCII text; the font has no other characters.
        corner: Left end (x, y) of the base line, in pixels.
        height: Height of capitals, in pixels.
        colour: Colour of the text.
    """
    scale, thickness = _scale(height)
    cv2.putText(image, text, corner, _FONT, scale, colour, thickness, cv2.LINE_AA)
