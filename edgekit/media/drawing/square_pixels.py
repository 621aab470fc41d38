"""The size in which a picture is shown, whose stored pixels may not be square."""

from __future__ import annotations

import numpy as np

from edgekit.media._opencv import cv2
from edgekit.runtime.types import Array, Frame

__all__ = ["in_size", "shown_size"]


def shown_size(frame: Frame) -> tuple[float, int]:
    """Returns the width and height of a frame's picture in square pixels, as a player shows it."""
    height, width = frame.image.shape[:2]
    return width * frame.sample_aspect, height


def in_size(image: Array, width: float, height: float) -> Array:
    """Returns a copy of a picture in another size, rounded to whole pixels, at least one.

    Args:
        image: Picture, (H, W, 3) uint8.
        width: Width of the copy.
        height: Height of the copy.
    """
    size = max(1, round(width)), max(1, round(height))
    if size == image.shape[1::-1]:
        return np.array(image, order="C")
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    found: Array = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return found
