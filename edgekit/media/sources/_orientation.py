"""Pictures the right way up, as the display matrix of their video says."""

from __future__ import annotations

import struct
from typing import Any

from edgekit.media._opencv import cv2
from edgekit.runtime.types import Array

__all__ = ["UPRIGHT", "Orientation", "orientation_of"]


class Orientation:
    """How a stored picture has to be turned to be seen upright.

    Args:
        transposed: Whether rows become columns, before the flips.
        flip: Whether left and right are exchanged.
        flop: Whether top and bottom are exchanged.
    """

    def __init__(self, transposed: bool = False, flip: bool = False, flop: bool = False) -> None:
        self.transposed = transposed
        self._code = None if not (flip or flop) else -1 if flip and flop else 1 if flip else 0

    def apply(self, image: Array) -> Array:
        """The picture (H, W, 3), upright."""
        if self.transposed:
            image = cv2.transpose(image)
        return image if self._code is None else cv2.flip(image, self._code)


UPRIGHT = Orientation()


def orientation_of(frame: Any) -> Orientation:
    """What the display matrix of a frame of PyAV says; upright where it is no multiple of 90."""
    from av.sidedata import sidedata

    try:
        # Of our own: frame.side_data is kept by the frame and keeps the frame, so that the memory
        # of its picture would wait for Python's garbage collector.
        container: Any = sidedata.SideDataContainer
        side_data = container(frame)
        if not (frame.rotation or len(side_data)):
            return UPRIGHT
        data = side_data["DISPLAYMATRIX"]
    except (KeyError, ValueError):
        # PyAV does not know every kind of side data, but always the rotation.
        return _turned(frame.rotation)
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(data))
    if abs(a) + abs(d) > 50 * (abs(b) + abs(c)):
        return Orientation(False, a < 0, d < 0)
    if abs(b) + abs(c) > 50 * (abs(a) + abs(d)):
        return Orientation(True, c < 0, b < 0)
    return UPRIGHT


def _turned(degrees: int) -> Orientation:
    """What turns a picture counterclockwise."""
    turns = round(degrees / 90) % 4 if abs(degrees - 90 * round(degrees / 90)) <= 1 else 0
    return (
        UPRIGHT,
        Orientation(True, False, True),
        Orientation(False, True, True),
        Orientation(True, True, False),
    )[turns]
