"""Colours and lettering that can be read on any picture."""

from __future__ import annotations

from typing import Any

from edgekit.media._opencv import cv2

__all__ = ["Colour", "colour_of", "contrast", "lighter", "put_text", "text_size"]

Colour = tuple[int, int, int]
"""Blue, green, red, 0 to 255."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL_HEIGHT = 22.0
"""Height of the font's capitals at scale 1, in pixels."""

# Far apart in hue and in brightness, and none of them the colour of skin, grass or sky.
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
    """The colour of a class, always the same; 24 classes have colours of their own."""
    turn, place = divmod(label, len(_PALETTE))
    blue, green, red = _PALETTE[place]
    return (blue, green, red) if turn % 2 == 0 else (blue * 5 // 9, green * 5 // 9, red * 5 // 9)


def contrast(colour: Colour) -> Colour:
    """Black or white, whichever stands out from ``colour``."""
    blue, green, red = colour
    bright = 0.114 * blue + 0.587 * green + 0.299 * red > 140
    return (0, 0, 0) if bright else (255, 255, 255)


def lighter(colour: Colour, share: float) -> Colour:
    """``colour`` mixed with ``share`` of white."""
    blue, green, red = (round(value + (255 - value) * share) for value in colour)
    return blue, green, red


def _scale(height: float) -> tuple[float, int]:
    return height / _CAPITAL_HEIGHT, max(1, round(height / 11))


def text_size(text: str, height: float) -> tuple[int, int]:
    """Width in pixels, and depth below the base line, of text with capitals ``height`` high."""
    scale, thickness = _scale(height)
    (width, _), depth = cv2.getTextSize(text, _FONT, scale, thickness)
    return int(width), int(depth)


def put_text(image: Any, text: str, corner: tuple[int, int], height: float, colour: Colour) -> None:
    """Writes on a picture (H, W, 3), in place.

    Args:
        image: The picture.
        text: ASCII; the font has no more.
        corner: x and y of the left end of the base line.
        height: Of a capital, pixels.
        colour: Of the letters.
    """
    scale, thickness = _scale(height)
    cv2.putText(image, text, corner, _FONT, scale, colour, thickness, cv2.LINE_AA)
