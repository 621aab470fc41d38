"""Makes the network's input: a picture and its SSIM map against an earlier one, as in KORSAL."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.errors import UsageError
from edgekit.runtime import native
from edgekit.runtime.kinds import FIRST_FRAME_RULES, KINDS, input_channels
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.ssim import SHIFTS, ShiftedSsim
from edgekit.runtime.types import Array

__all__ = ["Cascade"]


class _Fitted(NamedTuple):
    image: npt.NDArray[np.uint8]
    letterbox: Letterbox
    fitted: npt.NDArray[np.uint8]


class Cascade:
    """Turns consecutive source pictures into network inputs.

    Args:
        size: (height, width) of the network input.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        kind: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        frame_gap: Number of frames between the earlier and the current picture, at least 1.
        first_frame: Rule for a missing earlier picture, one of
            ``edgekit.runtime.kinds.FIRST_FRAME_RULES``.

    Raises:
        UsageError: A value is not possible.
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
            raise UsageError(
                f"Expected the cascade to be one of {', '.join(KINDS)}; found {kind!r}."
            )
        if first_frame not in FIRST_FRAME_RULES:
            rules = ", ".join(FIRST_FRAME_RULES)
            raise UsageError(f"Expected first_frame to be one of {rules}; found {first_frame!r}.")
        if frame_gap < 1:
            raise UsageError(f"Expected the frame gap to be at least 1; found {frame_gap}.")
        self.size = size
        self.kind = kind
        self.channels = input_channels(kind)
        self._first_frame = first_frame
        self._buffers = _Buffers((self.channels, *size))
        self._before: deque[_Fitted] = deque(maxlen=frame_gap)
        kernel = native.setting().kernel
        means, deviations = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        levels = ((np.arange(256)[:, None] / 255 - means) / deviations).T.astype(np.float32)
        self._maker: native.NativeCascade | _PlainCascade
        if kind == "rgb" or kernel == native.NUMPY or not native.suits(levels, deviations):
            self._maker = _PlainCascade(size, means, deviations, levels, kind)
        else:
            self._maker = native.NativeCascade(
                kernel,
                size,
                means,
                deviations,
                levels,
                candidates=_candidates(kind),
                dissimilarity=kind == "dssim",
            )

    def reset(self) -> None:
        """Forgets the previous frames: the next one is a first frame."""
        self._before.clear()

    def __call__(
        self,
        image: npt.NDArray[np.uint8],
        sample_aspect: float = 1.0,
        earlier: npt.NDArray[np.uint8] | None = None,
    ) -> tuple[Array, Letterbox]:
        """Returns the network input for the next picture of the source.

        Args:
            image: Picture of any size, (H, W, 3) uint8, BGR.
            sample_aspect: Width of a pixel of the image over its height.
            earlier: Picture of the same shape to compare with; None uses the picture from
                ``frame_gap`` pictures before. The first picture of another size is a first frame.

        Returns:
            (1, channels, height, width) float32, and the letterbox that maps boxes back.
        """
        previous, current, letterbox = self.pair(image, sample_aspect, earlier)
        return self.stack(previous, current)[None], letterbox

    def pair(
        self,
        image: npt.NDArray[np.uint8],
        sample_aspect: float = 1.0,
        earlier: npt.NDArray[np.uint8] | None = None,
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Letterbox]:
        """Returns the letterboxed earlier and current picture, for a network with a cascade.

        Args:
            image: Picture of any size, (H, W, 3) uint8, BGR.
            sample_aspect: Width of a pixel of the image over its height.
            earlier: Picture of the same shape to compare with; None uses the picture from
                ``frame_gap`` pictures before.

        Returns:
            Two (height, width, 3) uint8 pictures, and the letterbox.
        """
        letterbox = Letterbox.fit((image.shape[0], image.shape[1]), self.size, sample_aspect)
        current = letterbox.apply(image)
        if self._before and self._before[-1].letterbox != letterbox:
            self.reset()  # a picture of another size is not of the same scene
        if earlier is not None:
            previous = self._fitted(earlier, letterbox)
        elif len(self._before) == self._before.maxlen:
            previous = self._before[0].fitted
        else:
            previous = np.zeros_like(current) if self._first_frame == "zero" else current
        self._before.append(_Fitted(image, letterbox, current))
        return previous, current, letterbox

    def _fitted(self, image: npt.NDArray[np.uint8], letterbox: Letterbox) -> npt.NDArray[np.uint8]:
        """Returns a picture in the network's size; a processed picture is fitted only once."""
        for before in self._before:
            if before.image is image and before.letterbox == letterbox:
                return before.fitted
        return letterbox.apply(image)

    def stack(
        self, previous: npt.NDArray[np.uint8], current: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """Returns the network input for two letterboxed pictures; keeps no state.

        Args:
            previous: Earlier picture, (height, width, 3) uint8, BGR.
            current: Picture to compare it with, (height, width, 3) uint8, BGR.

        Returns:
            (channels, height, width) float32: the normalised picture, then the map.
        """
        out = self._buffers.take()
        self._maker.stack(previous, current, out)
        return out

    def release(self, tensor: Array) -> None:
        """Takes back a network input, to fill it for a later picture.

        The system then need not map its memory again. The caller must not use the input
        afterwards. An input that is never given back stays as it is.
        """
        self._buffers.give(tensor)


class _Buffers:
    """Arrays that were given back, to be filled again; any thread may call its methods.

    New memory is mapped page by page while it is filled, which would take time in every frame.
    """

    _KEPT = 8

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._free: list[Array] = []
        self._lock = threading.Lock()

    def take(self) -> npt.NDArray[np.float32]:
        """Returns an array with arbitrary content, which nobody else has."""
        with self._lock:
            return self._free.pop() if self._free else np.empty(self._shape, np.float32)

    def give(self, array: object) -> None:
        """Takes an array back; one of another kind, or one that is here already, is ignored."""
        if not isinstance(array, np.ndarray):
            return
        own: Array = array if array.base is None else array.base
        if getattr(own, "shape", None) != self._shape or own.dtype != np.float32:
            return
        with self._lock:
            known = any(own is free for free in self._free)
            if not known and len(self._free) < self._KEPT:
                self._free.append(own)


class _PlainCascade:
    """Computes what ``native.NativeCascade`` does, by numpy and OpenCV; also without a map."""

    def __init__(
        self,
        size: tuple[int, int],
        mean: npt.NDArray[np.float64],
        std: npt.NDArray[np.float64],
        levels: npt.NDArray[np.float32],
        kind: str,
    ) -> None:
        self._levels = levels
        self._ssim = None if kind == "rgb" else ShiftedSsim(size, mean, std)
        self._candidates = _candidates(kind)
        self._dissimilarity = kind == "dssim"

    def stack(
        self,
        previous: npt.NDArray[np.uint8],
        current: npt.NDArray[np.uint8],
        out: npt.NDArray[np.float32],
    ) -> int:
        """Fills ``out``, and returns the index of the chosen shift."""
        planes = np.stack(cv2.split(current)).astype(np.uint8, copy=False)
        for plane, table, normalised in zip(planes, self._levels, out, strict=False):
            cv2.LUT(plane, table, normalised)
        if self._ssim is None:
            return len(SHIFTS) - 1
        earlier = np.stack(cv2.split(previous)).astype(np.uint8, copy=False)
        similarity = out[3:]
        shift = self._ssim.best_map(earlier, planes, similarity, self._candidates)
        if self._dissimilarity:
            np.multiply(1 - similarity, 0.5, out=similarity)
        return shift


def _candidates(kind: str) -> int:
    """Returns the number of shifts; the identity comes last, and ``ssim-shifted`` omits it."""
    return len(SHIFTS) - 1 if kind == "ssim-shifted" else len(SHIFTS)
