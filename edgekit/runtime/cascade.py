"""The temporal input of KORSAL: each picture joined with its SSIM map against an earlier one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.errors import UsageError
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.ssim import SHIFTS, ShiftedSsim
from edgekit.runtime.types import Array

__all__ = ["FIRST_FRAME_RULES", "KINDS", "Cascade"]

KINDS = ("ssim", "ssim-shifted", "dssim", "rgb")
"""``ssim`` compares nine shifts, ``ssim-shifted`` all but the identity, ``dssim`` gives
0.5 (1 - map) instead of the map, ``rgb`` has no map at all (KORSAL's variants 1, 2, 3, and none).
"""

FIRST_FRAME_RULES = ("zero", "repeat")
"""What stands for the earlier frame where there is none: a black one, as published checkpoints
were trained with, or the frame itself."""


class Cascade:
    """Turns source pictures, one after the other, into network inputs.

    Args:
        size: (height, width) of the network input.
        mean: Of B, G, R in [0, 1].
        std: Likewise.
        kind: One of ``KINDS``.
        frame_gap: How many frames back the earlier picture lies, at least 1.
        first_frame: One of ``FIRST_FRAME_RULES``.

    Raises:
        UsageError: One of the values is none of those.
    """

    def __init__(
        self,
        size: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        kind: str = "ssim",
        frame_gap: int = 1,
        first_frame: str = "zero",
    ) -> None:
        if kind not in KINDS:
            raise UsageError(f"The cascade is one of {', '.join(KINDS)}, not {kind!r}.")
        if first_frame not in FIRST_FRAME_RULES:
            rules = ", ".join(FIRST_FRAME_RULES)
            raise UsageError(f"The rule of the first frame is one of {rules}, not {first_frame!r}.")
        if frame_gap < 1:
            raise UsageError(f"The frame gap is at least 1, not {frame_gap}.")
        self.size = size
        self.kind = kind
        self.channels = 3 if kind == "rgb" else 6
        self._first_frame = first_frame
        self._earlier: deque[npt.NDArray[np.uint8]] = deque(maxlen=frame_gap)
        self._ssim = None if kind == "rgb" else ShiftedSsim(size, np.array(mean), np.array(std))
        self._candidates = len(SHIFTS) - 1 if kind == "ssim-shifted" else len(SHIFTS)
        levels = np.arange(256)[:, None] / 255
        self._tables = ((levels - np.array(mean)) / np.array(std)).T.astype(np.float32)

    def reset(self) -> None:
        """Forgets the frames before: the next one is a first frame."""
        self._earlier.clear()

    def __call__(self, image: npt.NDArray[np.uint8]) -> tuple[Array, Letterbox]:
        """The network input of the next picture of the source.

        Args:
            image: (H, W, 3) uint8, BGR, any size.

        Returns:
            (1, channels, height, width) float32, and the letterbox that leads boxes back.
        """
        previous, current, letterbox = self.pair(image)
        return self.stack(previous, current)[None], letterbox

    def pair(
        self, image: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Letterbox]:
        """The letterboxed earlier and current picture, for a network that holds the cascade.

        Args:
            image: (H, W, 3) uint8, BGR, any size.

        Returns:
            Twice (height, width, 3) uint8, and the letterbox.
        """
        letterbox = Letterbox.fit((image.shape[0], image.shape[1]), self.size)
        current = letterbox.apply(image)
        if len(self._earlier) == self._earlier.maxlen:
            previous = self._earlier[0]
        else:
            previous = np.zeros_like(current) if self._first_frame == "zero" else current
        self._earlier.append(current)
        return previous, current, letterbox

    def stack(
        self, previous: npt.NDArray[np.uint8], current: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """The network input of two letterboxed pictures; keeps no state.

        Args:
            previous: (height, width, 3) uint8, BGR.
            current: Likewise.

        Returns:
            (channels, height, width) float32: the normalised picture, then the map.
        """
        out = np.empty((self.channels, *self.size), np.float32)
        planes = np.stack(cv2.split(current)).astype(np.uint8, copy=False)
        for channel, table in enumerate(self._tables):
            cv2.LUT(planes[channel], table, out[channel])
        if self._ssim is not None:
            earlier = np.stack(cv2.split(previous)).astype(np.uint8, copy=False)
            similarity = out[3:]
            self._ssim.best_map(earlier, planes, similarity, self._candidates)
            if self.kind == "dssim":
                np.multiply(1 - similarity, 0.5, out=similarity)
        return out
