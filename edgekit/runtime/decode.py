"""Decodes CenterNet's outputs to boxes (Zhou et al., arXiv 1904.07850, section 3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgekit.errors import BundleError
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.native import decode as native
from edgekit.runtime.native.library import compiled
from edgekit.runtime.types import Array, Detections

__all__ = ["check_rows", "decode", "group", "peaks", "sigmoid"]

_HIGHEST_SCORE = 1.01
"""Largest valid score: slightly over 1, because of rounding."""


def peaks(outputs: Mapping[str, Array], top_k: int, stride: int) -> npt.NDArray[np.float32]:
    """Returns the best cells of the heatmap that exceed their eight neighbours, as boxes.

    Args:
        outputs: Heads: ``hm`` logits (1, C, h, w), ``wh`` and ``reg`` (1, 2, h, w), in cells.
        top_k: Largest number of boxes, over all classes.
        stride: Input pixels per cell.

    Returns:
        (k, 6) float32, best first: x1, y1, x2, y2 in input pixels, score in (0, 1), class. Equal
        scores are in the order of class, row, column.
    """
    logits = np.asarray(outputs["hm"][0], np.float32)
    sizes, offsets = (np.asarray(outputs[name][0], np.float32) for name in ("wh", "reg"))
    library = compiled()
    if library is not None and native.suits(logits, sizes, offsets, top_k):
        values, result = native.peaks(library, logits, sizes, offsets, top_k, stride)
    else:
        values, result = _peaks_by_numpy(logits, sizes, offsets, top_k, stride)
    result[:, 4] = sigmoid(values)
    return result


def sigmoid(logits: Array) -> Array:
    """Returns the scores of logits."""
    with np.errstate(over="ignore"):  # below -88, the score is 0
        scores: Array = 1 / (1 + np.exp(-logits))
    return scores


def group(found: Array, classes: int, letterbox: Letterbox) -> Detections:
    """Turns rows of ``peaks`` into detections: several classes in one cell share one box.

    Args:
        found: Peaks, (k, 6): x1, y1, x2, y2 in input pixels, score, class; best first.
        classes: Number of classes.
        letterbox: Letterbox of the input.

    Returns:
        Boxes in source pixels, clipped to the picture; boxes without area in it are left out.

    Raises:
        IndexError: A class is unknown.
    """
    library = compiled()
    if library is not None and found.dtype == np.float32:
        grouped = native.group(library, found, classes, letterbox)
        if grouped is not None:
            return grouped
    return _group_by_numpy(found, classes, letterbox)


def decode(
    outputs: Mapping[str, Array], classes: int, letterbox: Letterbox, *, top_k: int, stride: int
) -> Detections:
    """Returns the detections of one frame from a network's outputs, in either form.

    Args:
        outputs: Heads ``hm``, ``wh`` and ``reg``, in the shapes that ``peaks`` documents; or
            ``detections`` (k, 6), best first, if the network contains the decoding.
        classes: Number of classes.
        letterbox: Letterbox of the input.
        top_k: Largest number of peaks.
        stride: Input pixels per cell.

    Raises:
        BundleError: The network returns an unknown class, or a score over 1.
    """
    if "detections" in outputs:
        found = np.asarray(outputs["detections"], np.float32).reshape(-1, 6)
        check_rows(found, classes)
        found = found[:top_k]
    else:
        found = peaks(outputs, top_k, stride)
    return group(found, classes, letterbox)


def check_rows(found: Array, classes: int) -> None:
    """Checks the detections of a network, (k, 6); those with score 0 are ignored.

    Raises:
        BundleError: One has an unknown class, or a score over 1.
    """
    counted = found[:, 4] > 0
    fits = _are_known(found[:, 5], classes) & (found[:, 4] <= _HIGHEST_SCORE)
    if (fits | ~counted).all():
        return
    row = found[counted & ~fits][0]
    raise BundleError(
        f"The model gives a detection of class {row[5]:g} with a score of {row[4]:g}; classes from "
        f"0 to {classes - 1} and scores up to 1 were expected.",
        hint="Export it again: edgekit export CHECKPOINT --target TARGET",
    )


def _peaks_by_numpy(
    logits: Array, sizes: Array, offsets: Array, top_k: int, stride: int
) -> tuple[Array, Array]:
    """Returns logits of the peaks, and their rows without scores."""
    _, height, width = logits.shape
    found = np.flatnonzero(logits == _neighbourhood_maximum(logits))
    values = logits.ravel()[found]
    if len(found) > top_k:
        least = np.partition(values, len(values) - top_k)[len(values) - top_k]
        found, values = found[values >= least], values[values >= least]
    best = np.argsort(-values, kind="stable")[:top_k]
    found, values = found[best], values[best]
    classes, cells = np.divmod(found, height * width)
    rows, columns = np.divmod(cells, width)
    sizes, offsets = (each.reshape(2, -1)[:, cells] for each in (sizes, offsets))
    x, y = columns + offsets[0], rows + offsets[1]
    half_width, half_height = sizes / 2
    result = np.empty((len(found), 6), np.float32)
    result[:, 0], result[:, 1] = x - half_width, y - half_height
    result[:, 2], result[:, 3] = x + half_width, y + half_height
    result[:, :4] *= stride
    result[:, 5] = classes
    return values, result


def _neighbourhood_maximum(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns the maximum over 3x3 cells of each map (C, h, w)."""
    wide = maps.copy()
    np.maximum(wide[:, :, 1:], maps[:, :, :-1], out=wide[:, :, 1:])
    np.maximum(wide[:, :, :-1], maps[:, :, 1:], out=wide[:, :, :-1])
    high = wide.copy()
    np.maximum(high[:, 1:], wide[:, :-1], out=high[:, 1:])
    np.maximum(high[:, :-1], wide[:, 1:], out=high[:, :-1])
    return high


def _are_known(labels: Array, classes: int) -> Array:
    """Returns which classes of rows exist; NaN does not."""
    return (labels > -1) & (labels < classes)


def _group_by_numpy(found: Array, classes: int, letterbox: Letterbox) -> Detections:
    boxes = letterbox.to_source(np.asarray(found[:, :4], np.float32))
    seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (found[:, 4] > 0)
    found, boxes = found[seen], boxes[seen]
    # As an integer, NaN is another class on each kind of processor, and one that exists on ARM.
    if not _are_known(found[:, 5], classes).all():
        raise IndexError(f"classes from 0 to {classes - 1} were expected")
    # Classes of one cell share size and offset, so their boxes are equal to the last bit.
    rows: dict[bytes, int] = {}
    owner = [rows.setdefault(row.tobytes(), len(rows)) for row in found[:, :4]]
    first = {row: index for index, row in reversed(list(enumerate(owner)))}
    scores = np.zeros((len(rows), classes), np.float32)
    scores[owner, found[:, 5].astype(np.intp)] = found[:, 4]
    return Detections(boxes[[first[row] for row in range(len(rows))]], scores)
