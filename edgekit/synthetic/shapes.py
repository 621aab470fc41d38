"""Makes and paints shapes from numbers that are equal on every machine.

Sines come from a table that is rounded well above the last bit, in which libraries differ. All
other arithmetic is sums and products, which IEEE 754 defines to the last bit. Shapes are painted as
convex polygons in fixed-point coordinates, with integer arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.runtime.types import Array

__all__ = ["Colour", "Part", "Point", "along", "capsule", "disc", "extent", "paint", "sine"]

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[int, int, int]

_STEPS = 3600
_TABLE = [round(math.sin(2 * math.pi * i / _STEPS) * (1 << 20)) / (1 << 20) for i in range(_STEPS)]
_FRACTION_BITS = 4


class Part(NamedTuple):
    """A convex polygon of one colour.

    Attributes:
        points: Corners of the polygon.
        colour: Colour as blue, green, red.
        body: Whether the part belongs to the person, and so to the person's box.
    """

    points: Sequence[Point]
    colour: Colour
    body: bool = True


def sine(degrees: float) -> float:
    """Returns the sine of an angle, which is rounded to tenths of a degree."""
    return _TABLE[round(degrees * 10) % _STEPS]


def along(start: Point, length: float, degrees: float) -> Point:
    """Returns the point at a distance: 0 degrees is down, 90 is forwards (x to the right)."""
    return start[0] + length * sine(degrees), start[1] + length * sine(degrees + 90)


def capsule(start: Point, length: float, degrees: float, first: float, last: float) -> list[Point]:
    """Returns a limb: a bar with round ends.

    Args:
        start: Centre of the first end.
        length: Distance between the centres of both ends.
        degrees: Direction: 0 is down, 90 is forwards (x to the right).
        first: Radius of the first end.
        last: Radius of the other end.
    """
    end = along(start, length, degrees)
    around = [along(end, last, degrees + turn) for turn in (-90, -45, 0, 45, 90)]
    return around + [along(start, first, degrees + turn) for turn in (90, 135, 180, 225, 270)]


def disc(centre: Point, radius: float, corners: int = 16) -> list[Point]:
    """Returns a circle, approximated by a polygon."""
    return [along(centre, radius, 360 * i / corners) for i in range(corners)]


def extent(parts: Iterable[Part]) -> tuple[float, float, float, float]:
    """Returns the box around the parts that belong to the body."""
    points = [point for part in parts if part.body for point in part.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def paint(image: Array, parts: Iterable[Part], origin: tuple[int, int] = (0, 0)) -> None:
    """Paints parts onto a picture (H, W, 3) in place; later parts cover earlier ones.

    Args:
        image: Picture, uint8; the centre of its first pixel is at (0.5, 0.5) from its corner.
        parts: Parts to paint, in pixels of the world.
        origin: Position of the picture's upper left corner in the world.
    """
    # OpenCV puts the centre of the first pixel at (0, 0).
    corner = np.array(origin) + 0.5
    for part in parts:
        corners = np.rint((np.array(part.points) - corner) * (1 << _FRACTION_BITS))
        corners = corners.astype(np.int32)
        cv2.fillConvexPoly(image, corners, part.colour, cv2.LINE_AA, _FRACTION_BITS)
