"""Fits pictures of any size into the network's input, and maps boxes back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.types import Array

__all__ = ["Letterbox"]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The affine letterbox of CenterNet (arXiv 1904.07850): one scale, centred, black bars.

    A source point (x, y) maps to (scale_x x + left, scale y + top) in the input. For a square input
    and square pixels the scale is the input's side over the longer side of the source.

    Attributes:
        scale: Input pixels per source pixel, vertically.
        left: Input x of the source's left edge; fractional.
        top: Input y of the source's top edge; fractional.
        width: Width of the input, in pixels.
        height: Height of the input, in pixels.
        source_width: Width of the source, in pixels.
        source_height: Height of the source, in pixels.
        sample_aspect: Width of a source pixel over its height.
    """

    scale: float
    left: float
    top: float
    width: int
    height: int
    source_width: int
    source_height: int
    sample_aspect: float = 1.0

    @classmethod
    def fit(
        cls, source: tuple[int, int], target: tuple[int, int], sample_aspect: float = 1.0
    ) -> Letterbox:
        """Returns the letterbox of a ``source`` (height, width) in a ``target`` (height, width)."""
        (source_height, source_width), (height, width) = source, target
        scale = min(height / source_height, width / (source_width * sample_aspect))
        return cls(
            scale,
            (width - scale * sample_aspect * source_width) / 2,
            (height - scale * source_height) / 2,
            width,
            height,
            source_width,
            source_height,
            sample_aspect,
        )

    @property
    def scale_x(self) -> float:
        """Input pixels per source pixel, horizontally."""
        return self.scale * self.sample_aspect

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Returns the picture (H, W, 3) fitted into the input: (height, width, 3), bilinear."""
        matrix = np.array([[self.scale_x, 0, self.left], [0, self.scale, self.top]])
        fitted = cv2.warpAffine(image, matrix, (self.width, self.height), flags=cv2.INTER_LINEAR)
        return fitted.astype(np.uint8, copy=False)

    def to_source(self, boxes: Array) -> Array:
        """Returns boxes (n, 4) in input pixels as source pixels, clipped to the picture."""
        shift = np.array([self.left, self.top] * 2, boxes.dtype)
        scale = np.array([self.scale_x, self.scale] * 2, boxes.dtype)
        limit = np.array([self.source_width, self.source_height] * 2, boxes.dtype)
        inside: Array = np.clip((boxes - shift) / scale, 0, limit)
        return inside
