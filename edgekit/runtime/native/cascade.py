"""Computes the SSIM cascade in C; gives exactly the results of ``edgekit.runtime.ssim``."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from edgekit.errors import MissingDependencyError
from edgekit.runtime import ssim
from edgekit.runtime.native.library import load, rebuild
from edgekit.runtime.native.structures import CascadePlan

__all__ = ["NativeCascade", "suits"]

_LARGEST = 1e6


def suits(levels: npt.NDArray[np.float32], std: npt.NDArray[np.float64]) -> bool:
    """Returns whether the library's arithmetic stays finite: mean and deviation are realistic."""
    return bool(np.abs(levels).max() < _LARGEST and std.max() < _LARGEST)


class NativeCascade:
    """Makes network inputs from pairs of letterboxed pictures, with its own buffers.

    ``scores`` are the mean SSIMs of the candidates in the last call.

    Args:
        kernel: Kernel of the library: one of ``setting().available`` except ``numpy``.
        size: (height, width) of the pictures, at least 9 each.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        levels: Normalised value of each pixel value, (3, 256) float32.
        candidates: Number of shifts to try, from the first of ``ssim.SHIFTS``.
        dissimilarity: Whether 0.5 (1 - map) replaces the map.
    """

    def __init__(
        self,
        kernel: str,
        size: tuple[int, int],
        mean: npt.NDArray[np.float64],
        std: npt.NDArray[np.float64],
        levels: npt.NDArray[np.float32],
        *,
        candidates: int = len(ssim.SHIFTS),
        dissimilarity: bool = False,
    ) -> None:
        ssim.check_size(size)
        library, problem = load()
        if library is None:
            raise MissingDependencyError(problem, hint=rebuild())
        gain, bias = ssim.scale(mean, std)
        plan = CascadePlan(*size, candidates, dissimilarity)
        plan.k1, plan.k2, plan.tie, plan.smallest = ssim.K1, ssim.K2, ssim.TIE, ssim.SMALLEST
        np.ctypeslib.as_array(plan.shifts)[:] = ssim.SHIFTS
        np.ctypeslib.as_array(plan.gain)[:] = gain
        np.ctypeslib.as_array(plan.bias)[:] = bias
        np.ctypeslib.as_array(plan.levels)[:] = levels
        self._plan, self._at = plan, ctypes.addressof(plan)
        scratch_size = library[f"scratch_size_{kernel}"]
        scratch_size.argtypes, scratch_size.restype = [ctypes.c_int32] * 2, ctypes.c_size_t
        self._scratch = np.empty(scratch_size(*size), np.uint8)
        self.scores = np.empty(candidates)
        self._stack = library[f"stack_{kernel}"]
        address, whole = ctypes.c_void_p, ctypes.c_int64
        self._stack.argtypes = [*[address] * 3, whole, address, whole, *[address] * 2, whole]
        self._stack.restype = ctypes.c_int32
        self._pair, self._tensor = (*size, 3), (6, *size)

    def stack(
        self,
        previous: npt.NDArray[np.uint8],
        current: npt.NDArray[np.uint8],
        out: npt.NDArray[np.float32],
    ) -> int:
        """Fills ``out`` with the normalised picture and its map. One call at a time.

        Args:
            previous: Earlier picture, (height, width, 3) uint8, BGR.
            current: Picture to compare it with, (height, width, 3) uint8, BGR.
            out: Output buffer, (6, height, width) float32, contiguous.

        Returns:
            The index in ``ssim.SHIFTS`` of the chosen shift.
        """
        pictures = []
        for picture in (previous, current):
            if picture.shape != self._pair or picture.dtype != np.uint8:
                raise ValueError(
                    f"expected uint8 pictures of shape {self._pair}; found {picture.dtype} of "
                    f"shape {picture.shape}"
                )
            pictures.append(np.ascontiguousarray(picture))
        if out.shape != self._tensor or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(
                f"expected a contiguous float32 array of shape {self._tensor}; found {out.dtype} "
                f"of shape {out.shape}"
            )
        earlier, now = pictures
        chosen = self._stack(
            self._at,
            earlier.ctypes.data,
            now.ctypes.data,
            now.size,
            out.ctypes.data,
            out.size,
            self.scores.ctypes.data,
            self._scratch.ctypes.data,
            self._scratch.size,
        )
        if chosen < 0:
            raise ValueError(
                f"the compiled kernel does not accept pictures of shape {self._pair} with "
                f"{len(self.scores)} shifts"
            )
        return int(chosen)
