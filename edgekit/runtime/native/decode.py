"""Decodes heatmaps in C; gives exactly what ``peaks`` and ``group`` of ``runtime.decode`` give."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array, Detections

__all__ = ["group", "peaks", "suits"]


def suits(logits: Array, sizes: Array, offsets: Array, top_k: int) -> bool:
    """Returns whether the library accepts these maps: large enough, and with a peak requested."""
    if logits.ndim != 3:
        return False
    cells = logits.shape[1] * logits.shape[2] if len(logits) else 0
    return top_k > 0 and cells > 0 and sizes.size == offsets.size == 2 * cells


def peaks(
    library: ctypes.CDLL, logits: Array, sizes: Array, offsets: Array, top_k: int, stride: int
) -> tuple[Array, Array]:
    """Returns logits of the peaks, best first, and their rows, in which scores are not set.

    Args:
        library: Library from ``compiled``.
        logits: Heatmap logits, (C, h, w) float32. All arrays must pass ``suits``.
        sizes: Box sizes in cells, 2 h w float32.
        offsets: Centre offsets in cells, 2 h w float32.
        top_k: Largest number of peaks.
        stride: Input pixels per cell.

    Returns:
        (k,) and (k, 6) float32.
    """
    logits, sizes, offsets = (
        np.ascontiguousarray(each, np.float32) for each in (logits, sizes, offsets)
    )
    if logits.ndim != 3 or top_k < 1:
        raise ValueError(
            "expected a heatmap (classes, height, width) and at least one peak; found the shape "
            f"{logits.shape} and {top_k} peaks"
        )
    functions = _functions(library)
    most = min(top_k, logits.size)
    values, cells = np.empty(most, np.float32), np.empty(most, np.int64)
    taken = functions.find_peaks(
        logits.ctypes.data,
        logits.size,
        *logits.shape,
        most,
        values.ctypes.data,
        cells.ctypes.data,
    )
    rows = np.empty((max(taken, 0), 6), np.float32)
    placed = functions.place_peaks(
        cells.ctypes.data,
        taken,
        sizes.ctypes.data,
        sizes.size,
        offsets.ctypes.data,
        offsets.size,
        *logits.shape[1:],
        stride,
        rows.ctypes.data,
    )
    if placed != taken or taken < 0:
        raise ValueError(
            "the shapes of heatmap, sizes and offsets do not match: "
            f"{logits.shape}, {sizes.shape} and {offsets.shape}"
        )
    return values[:taken], rows


def group(
    library: ctypes.CDLL, found: Array, classes: int, letterbox: Letterbox
) -> Detections | None:
    """Turns rows of ``peaks`` into detections; returns None if a row has an invalid class.

    Args:
        library: Library from ``compiled``.
        found: Peaks, (k, 6) float32.
        classes: Number of classes.
        letterbox: Letterbox of the input.
    """
    found = np.ascontiguousarray(found, np.float32)
    if found.ndim != 2 or found.shape[1] != 6:
        raise ValueError(f"expected rows of six numbers; found the shape {found.shape}")
    functions, count = _functions(library), len(found)
    boxes = np.empty((count, 4), np.float32)
    scores = np.empty((count, classes), np.float32)
    scratch = np.empty(functions.group_scratch(count), np.uint8)
    taken = functions.group_rows(
        found.ctypes.data,
        found.size,
        count,
        classes,
        letterbox.scale_x,
        letterbox.scale,
        letterbox.left,
        letterbox.top,
        letterbox.source_width,
        letterbox.source_height,
        boxes.ctypes.data,
        scores.ctypes.data,
        scores.size,
        scratch.ctypes.data,
        scratch.size,
    )
    if taken < -1:
        raise ValueError(f"expected at least one class; found {classes}, with {count} rows")
    return None if taken < 0 else Detections(boxes[:taken], scores[:taken])


class _Functions(NamedTuple):
    find_peaks: Callable[..., int]
    place_peaks: Callable[..., int]
    group_scratch: Callable[..., int]
    group_rows: Callable[..., int]


@functools.cache
def _functions(library: ctypes.CDLL) -> _Functions:
    """Returns the functions with declared types; this takes longer than decoding a frame."""
    address, whole, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    found: list[Any] = [library[name] for name in _Functions._fields]
    types = (
        ([address, *[whole] * 5, *[address] * 2], whole),
        ([address, whole, *[address, whole] * 2, *[whole] * 2, real, address], whole),
        ([whole], ctypes.c_size_t),
        ([address, *[whole] * 3, *[real] * 6, address, *[address, whole] * 2], whole),
    )
    for function, (arguments, result) in zip(found, types, strict=True):
        function.argtypes, function.restype = arguments, result
    return _Functions(*found)
