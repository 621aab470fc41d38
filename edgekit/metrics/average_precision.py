"""Average precision over all points of the precision-recall curve (PASCAL VOC 2010 and later)."""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["average_precision"]


def average_precision(scores: Array, hits: Array, total: int) -> float:
    """Returns the area under the precision envelope (Everingham et al., VOC 2011 devkit, 3.4.1).

    Args:
        scores: Confidence of each detection, (n,). Compared in single precision, as published;
            equal scores keep their order.
        hits: Whether each detection is correct, (n,) bool.
        total: Number of objects in the ground truth.

    Returns:
        A value from 0 to 1; NaN if the ground truth is empty.
    """
    if not total:
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float32), kind="stable")
    found = np.cumsum(np.asarray(hits, np.float64)[order])
    recall = found / total
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())
