"""What the library shares with Python, field for field as in its headers."""

from __future__ import annotations

import ctypes

from edgekit.runtime.ssim import SHIFTS

__all__ = ["LAYOUTS", "Plan"]


class Plan(ctypes.Structure):
    """Mirrors ``plan`` of cascade.h."""

    _fields_ = (
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("candidates", ctypes.c_int32),
        ("dissimilarity", ctypes.c_int32),
        ("shifts", ctypes.c_int32 * 2 * len(SHIFTS)),
        ("gain", ctypes.c_double * 3),
        ("bias", ctypes.c_double * 3),
        ("k1", ctypes.c_double),
        ("k2", ctypes.c_double),
        ("tie", ctypes.c_double),
        ("smallest", ctypes.c_double),
        ("levels", ctypes.c_float * 256 * 3),
    )


LAYOUTS: tuple[type[ctypes.Structure], ...] = (Plan,)
"""In the order in which the library counts them."""
