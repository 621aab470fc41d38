"""The compiled selection: what ``select`` of ``edgekit.runtime.selection`` does, in C."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["picks"]


def picks(
    library: ctypes.CDLL,
    boxes: Array,
    scores: Array,
    floor: float,
    candidates: int,
    overlap: float,
    keep: int,
) -> list[list[int]]:
    """The boxes that count for each class, best first.

    Args:
        library: As ``compiled`` gives it.
        boxes: (n, 4).
        scores: (n, C), of a type that fits into float64.
        floor: Rounded to the type of the scores, as numpy compares them.
        candidates: Number of candidates, as in ``SelectionRule``.
        overlap: Largest overlap, as in ``SelectionRule``.
        keep: Number of boxes to keep, as in ``SelectionRule``.
    """
    if scores.ndim != 2 or boxes.shape != (len(scores), 4):
        raise ValueError(f"{len(scores)} boxes of four numbers, not {boxes.shape}")
    if scores.dtype.kind == "f":
        floor = float(scores.dtype.type(floor))
    count, classes = scores.shape
    candidates = min(max(candidates, 0), count)
    # As many places as can be filled; a rule that keeps nothing was never one.
    places = min(keep, candidates) if keep > 0 else candidates
    boxes = np.ascontiguousarray(boxes, np.float64)
    scores = np.ascontiguousarray(scores, np.float64)
    scratch_size, run = _functions(library)
    scratch = np.empty(scratch_size(count, classes, candidates), np.uint8)
    picked, counts = np.empty((classes, places), np.int32), np.empty(classes, np.int32)
    refused = run(
        boxes.ctypes.data,
        boxes.size,
        scores.ctypes.data,
        scores.size,
        count,
        classes,
        floor,
        candidates,
        overlap,
        places,
        picked.ctypes.data,
        picked.size,
        counts.ctypes.data,
        scratch.ctypes.data,
        scratch.size,
    )
    if refused:
        raise ValueError(f"boxes of {boxes.shape} and scores of {scores.shape}")
    return [row[:taken] for row, taken in zip(picked.tolist(), counts.tolist(), strict=True)]


@functools.cache
def _functions(library: ctypes.CDLL) -> tuple[Callable[..., int], Callable[..., int]]:
    """With their types told, which costs more than a frame's selection."""
    scratch, run = library.selection_scratch, library.select_boxes
    address, whole, real = ctypes.c_void_p, ctypes.c_int32, ctypes.c_double
    memory: list[Any] = [address, ctypes.c_int64]
    scratch.argtypes, scratch.restype = [whole] * 3, ctypes.c_size_t
    run.argtypes = [
        *memory * 2,
        *[whole] * 2,
        real,
        whole,
        real,
        whole,
        *memory,
        address,
        *memory,
    ]
    run.restype = whole
    return scratch, run
