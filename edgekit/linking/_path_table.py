"""Stores the live paths of a published linker in one structured array, and updates its rows."""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["extrapolated", "path_type", "rerank", "stacked"]

_LARGEST_STEP = (3.0, 1.0, 3.0, 1.0)


def path_type(best: int) -> np.dtype[np.void]:
    """Returns the type of one row.

    Fields: ``id``, ``label`` and ``start`` of the path; ``count`` of entries and ``hits`` among
        them; consecutive ``misses``; ``score``, the rank; ``last``, the newest score;
        ``path_score``; ``box`` and ``previous``, the newest box and the one before; ``best``, the
        highest scores in ascending order, padded with 0 in front.

    Args:
        best: Number of highest scores that make the rank.
    """
    whole = ("id", "label", "start", "count", "hits", "misses")
    real = ("score", "last", "path_score")
    return np.dtype(
        [(name, np.int64) for name in whole]
        + [(name, np.float64) for name in real]
        + [("box", np.float64, (4,)), ("previous", np.float64, (4,)), ("best", np.float64, (best,))]
    )


def stacked(first: Array, second: Array) -> Array:
    """Returns the rows of both, one after the other."""
    # As plain bytes: otherwise numpy copies the fields of a structured array one by one.
    whole = np.dtype((np.void, first.dtype.itemsize))
    return np.concatenate((first.view(whole), second.view(whole))).view(first.dtype)


def extrapolated(missed: Array, limits: Array) -> Array:
    """Returns the boxes (n, 4) of ``missed``, moved by their last motion, within ``limits``.

    The box of a path with a single entry is not moved.
    """
    # The published limit on a step has no lower bound: a box can shrink or become inverted.
    step = np.minimum(missed["box"] - missed["previous"], _LARGEST_STEP)
    moved = np.maximum(np.minimum(missed["box"] + step, limits), 0.0)
    return np.where((missed["count"] > 1)[:, None], moved, missed["box"])


def rerank(live: Array, grown: Array) -> None:
    """Adds the newest score of the rows ``grown`` to their rank, in place."""
    best = live["best"][grown]
    np.maximum(best[:, 0], live["last"][grown], out=best[:, 0])
    best.sort(axis=1)
    live["best"][grown] = best
    live["count"][grown] += 1
    kept = np.minimum(live["count"][grown], best.shape[1])
    # Summed from the lowest up, as published: the order decides between equal scores.
    live["score"][grown] = np.cumsum(best, axis=1)[:, -1] / kept
