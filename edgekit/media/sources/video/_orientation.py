"""Sets pictures upright, by the display matrix of their video."""

from __future__ import annotations

import struct
from typing import Any

from edgekit.media._opencv import cv2
from edgekit.runtime.types import Array

__all__ = ["UPRIGHT", "Orientation", "orientation_of"]


class Orientation:
    """Operations that set a stored picture upright.

    Args:
        transposed: Whether to exchange rows and columns, before the flips.
        flip: Whether to exchange left and right.
        flop: Whether to exchange top and bottom.
    """

    def __init__(self, transposed: bool = False, flip: bool = False, flop: bool = False) -> None:
        self.transposed = transposed
        self._code = None if not (flip or flop) else -1 if flip and flop else 1 if flip else 0

    def apply(self, image: Array) -> Array:
        """Returns the picture (H, W, 3) upright."""
        if self.transposed:
            image = cv2.transpose(image)
        return image if self._code is None else cv2.flip(image, self._code)


UPRIGHT = Orientation()


def orientation_of(frame: Any) -> Orientation:
    """Returns the orientation of a PyAV frame; upright if the angle is no multiple of 90."""
    from av.sidedata import sidedata

    try:
        # Make our own container: frame.side_data and the frame refer to each other, so the
        # picture's memory would wait for Python's garbage collector.
        container: Any = sidedata.SideDataContainer
        side_data = container(frame)
        if not (frame.rotation or len(side_data)):
            return UPRIGHT
        data = side_data["DISPLAYMATRIX"]
    except (KeyError, ValueError):
        # PyAV does not know every kind of side data, but always knows the rotation.
        return _turned(frame.rotation)
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(data))
    if abs(a) + abs(d) > 50 * (abs(b) + abs(c)):
        return Orientation(False, a < 0, d < 0)
    if abs(b) + abs(c) > 50 * (abs(a) + abs(d)):
        return Orientation(True, c < 0, b < 0)
    return UPRIGHT


def _turned(degrees: int) -> Orientation:
    """Returns the orientation for a counterclockwise rotation; upright if no multiple of 90."""
    turns = round(degrees / 90) % 4 if abs(degrees - 90 * round(degrees / 90)) <= 1 else 0
    return (
        UPRIGHT,
        Orientation(True, False, True),
        Orientation(False, True, True),
        Orientation(True, True, False),
    )[turns]
