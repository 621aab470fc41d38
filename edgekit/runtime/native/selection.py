"""Selects boxes in C; gives exactly the results of ``select`` of ``edgekit.runtime.selection``."""

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
    """Returns the boxes that count for each class, best first.

    Args:
        library: Library from ``compiled``.
        boxes: Boxes, (n, 4).
        scores: Scores, (n, C), of a type that fits into float64.
        floor: Score floor, rounded to the type of the scores, as numpy compares them.
        candidates: Number of best boxes that enter the suppression.
        overlap: Largest IoU with a better box.
        keep: Largest number of boxes to keep.
    """
    if scores.ndim != 2 or boxes.shape != (len(scores), 4):
        raise ValueError(
            f"expected boxes (n, 4) and scores (n, C); found the shapes {boxes.shape} and "
            f"{scores.shape}"
        )
    if scores.dtype.kind == "f":
        floor = float(scores.dtype.type(floor))
    count, classes = scores.shape
    candidates = min(max(candidates, 0), count)
    # Room for every possible result; a rule that keeps nothing does not occur.
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
        raise ValueError(
            f"the compiled library does not accept boxes of shape {boxes.shape} with scores of "
            f"shape {scores.shape}"
        )
    return [row[:taken] for row, taken in zip(picked.tolist(), counts.tolist(), strict=True)]


@functools.cache
def _functions(library: ctypes.CDLL) -> tuple[Callable[..., int], Callable[..., int]]:
    """Returns the functions with declared types; this takes longer than selecting a frame."""
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
