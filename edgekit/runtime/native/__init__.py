"""The compiled cascade: what ``ssim.py`` computes, in C for the instructions of this processor.

``pip`` builds the library where a C compiler is there. Where it is missing or of no use, numpy and
OpenCV do the same, more slowly: nothing here fails for that. The C is in this folder, and
docs/native.md describes it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.errors import MissingDependencyError, UsageError
from edgekit.runtime import ssim
from edgekit.runtime.types import Array

__all__ = ["NUMPY", "VARIABLE", "NativeCascade", "Setting", "clock", "setting", "suits"]

VARIABLE = "EDGEKIT_KERNEL"
"""The environment variable that names the kernel to use instead of the fastest."""

NUMPY = "numpy"
"""The kernel that needs no library."""

_NAMES = ("avx2", "sse2", "neon", "generic")
_LARGEST = 1e6
_LIBRARY = Path(__file__).with_name("_cascade.so")
_REBUILD = "Run, where a C compiler is: pip install --force-reinstall --no-deps edgekit"


class Setting(NamedTuple):
    """Which kernel is in use.

    Attributes:
        kernel: ``avx2``, ``sse2``, ``neon``, ``generic`` or ``numpy``.
        available: All that run here, fastest first.
        problem: Why the library is of no use; empty where it is.
    """

    kernel: str
    available: tuple[str, ...]
    problem: str


class _Plan(ctypes.Structure):
    """Mirrors ``plan`` of cascade.h, field for field."""

    _fields_ = (
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("candidates", ctypes.c_int32),
        ("dissimilarity", ctypes.c_int32),
        ("shifts", ctypes.c_int32 * 2 * len(ssim.SHIFTS)),
        ("gain", ctypes.c_double * 3),
        ("bias", ctypes.c_double * 3),
        ("k1", ctypes.c_double),
        ("k2", ctypes.c_double),
        ("tie", ctypes.c_double),
        ("smallest", ctypes.c_double),
        ("levels", ctypes.c_float * 256 * 3),
    )


def setting() -> Setting:
    """The kernel that cascades made from now on use: the fastest, or that of ``EDGEKIT_KERNEL``.

    Raises:
        UsageError: The variable names none, or one that this processor lacks.
        MissingDependencyError: It names one of the library, which is missing or broken.
    """
    library, problem = _library()
    available = (*_kernels(library), NUMPY)
    wanted = os.environ.get(VARIABLE, "").strip()
    if not wanted:
        return Setting(available[0], available, problem)
    if wanted in available:
        return Setting(wanted, available, problem)
    if wanted in _NAMES and library is None:
        raise MissingDependencyError(
            f"{VARIABLE} asks for the kernel {wanted}: {problem}.", mend=_REBUILD
        )
    raise UsageError(
        f"{VARIABLE} is one of {', '.join(available)} on this machine, not {wanted!r}.",
        mend=f"Run: unset {VARIABLE}",
    )


def clock() -> float:
    """Cycles a second of the core that this runs on, at this moment, by a chain of additions.

    Raises:
        MissingDependencyError: There is no library.
    """
    library, problem = _library()
    if library is None:
        raise MissingDependencyError(f"The clock is measured in C: {problem}.", mend=_REBUILD)
    library.count.argtypes, library.count.restype = [ctypes.c_uint64], ctypes.c_uint64
    spent: list[float] = []
    for _ in range(9):
        begin = time.perf_counter()
        additions = int(library.count(250_000))
        spent.append((time.perf_counter() - begin) / additions)
    return 1 / min(spent)


def suits(levels: npt.NDArray[np.float32], std: npt.NDArray[np.float64]) -> bool:
    """Whether the library's float arithmetic stays finite: no mean or deviation is absurd."""
    return bool(np.abs(levels).max() < _LARGEST and std.max() < _LARGEST)


class NativeCascade:
    """Makes network inputs from pairs of letterboxed pictures, in memory of its own.

    ``scores`` are the mean SSIMs of the candidates in the last call.

    Args:
        kernel: Of the library: one of ``setting().available`` but ``numpy``.
        size: (height, width) of the pictures, at least 9 each.
        mean: Of B, G, R in [0, 1].
        std: Likewise.
        levels: (3, 256) float32, the normalised value of each pixel value.
        candidates: How many of ``ssim.SHIFTS``, from the first, to try.
        dissimilarity: Whether 0.5 (1 - map) takes the place of the map.
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
        library, problem = _library()
        if library is None:
            raise MissingDependencyError(problem, mend=_REBUILD)
        gain, bias = ssim.scale(mean, std)
        plan = _Plan(*size, candidates, dissimilarity)
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
        self._stack.argtypes = [ctypes.c_void_p] * 6
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
            previous: (height, width, 3) uint8, BGR.
            current: Likewise.
            out: (6, height, width) float32, contiguous.

        Returns:
            The index into ``ssim.SHIFTS`` of the shift that was chosen.
        """
        pictures = []
        for picture in (previous, current):
            if picture.shape != self._pair or picture.dtype != np.uint8:
                raise ValueError(f"{self._pair} of uint8, not {picture.shape} of {picture.dtype}")
            pictures.append(np.ascontiguousarray(picture))
        if out.shape != self._tensor or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(f"{self._tensor} of float32, contiguous, not {out.shape}")
        arrays: tuple[Array, ...] = (*pictures, out, self.scores, self._scratch)
        return int(self._stack(self._at, *(array.ctypes.data for array in arrays)))


@functools.cache
def _library() -> tuple[ctypes.CDLL | None, str]:
    """The library, or why there is none."""
    if not _LIBRARY.is_file():
        return None, "the compiled kernel was not built"
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        if library.layout() == ctypes.sizeof(_Plan) and _kernels(library):
            return library, ""
    except (OSError, AttributeError) as error:
        return None, f"the compiled kernel does not load: {error}"
    return None, "the compiled kernel was built from other sources"


def _kernels(library: ctypes.CDLL | None) -> tuple[str, ...]:
    if library is None:
        return ()
    library.kernels.restype = ctypes.c_char_p
    named: bytes = library.kernels()
    return tuple(named.decode().split())
