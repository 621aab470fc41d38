"""Paths of the published linkers: tubes that are not yet trimmed to the time of their action."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeAlias

import numpy as np

from edgekit.runtime.types import Array, Tube

__all__ = ["Entry", "LinkedPath", "Trail", "rank_paths", "top_mean"]

Entry: TypeAlias = tuple[int, float, list[float], Array, bool]
"""Frame, class score, box, scores of all classes, and whether there is a detection."""

_RANKING_SCORES = 20


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinkedPath(Tube):
    """A tube from the linker, with the data for trimming and for the published evaluation.

    Attributes:
        class_scores: Scores of all classes in each frame, (end - start + 1, C) float.
        found_at: Frames of the entries that the linker appended, (count,) int: the detections, and
            frames that the linker holds or extrapolates.
        path_score: Sum of the edge scores along the path.
        last_found: Number of consecutive frames without a detection when the path ended.
    """

    class_scores: Array
    found_at: Array
    path_score: float
    last_found: int

    @property
    def count(self) -> int:
        """Number of entries that the linker appended."""
        return len(self.found_at)


class Trail:
    """The entries of a path that is still alive.

    Args:
        id: Id of the path, unique within one linker.
        label: Class index.
        entry: Detection that starts the path.
        history: Number of frames to remember up to the last entry; None for all.
    """

    __slots__ = ("entries", "id", "label")

    def __init__(self, id: int, label: int, entry: Entry, history: int | None = None) -> None:
        self.id = id
        self.label = label
        self.entries = deque([entry], history)

    def close(self, path_score: float, misses: int) -> LinkedPath:
        """Returns the finished path; frames between two entries repeat the earlier one."""
        oldest = self.entries[-1][0] - (self.entries.maxlen or math.inf)
        known = (entry for entry in self.entries if entry[0] > oldest)  # fewer if it was missed
        frames, scores, boxes, class_scores, observed = zip(*known, strict=True)
        start, end = frames[0], frames[-1]
        found_at = np.array(frames)
        columns = [np.array(boxes), np.array(scores), np.concatenate(class_scores)]
        columns[2] = columns[2].reshape(len(frames), -1)
        if len(frames) <= end - start:
            repeats = np.append(found_at[1:] - found_at[:-1], 1)
            columns = [np.repeat(column, repeats, axis=0) for column in columns]
        seen = np.zeros(end - start + 1, np.bool_)
        seen[found_at - start] = observed
        return LinkedPath(
            id=self.id,
            label=self.label,
            score=top_mean(columns[1].tolist(), _RANKING_SCORES),
            start=start,
            end=end,
            boxes=columns[0],
            scores=columns[1],
            observed=seen,
            age=next((n for n, real in enumerate(reversed(observed)) if real), len(observed)),
            class_scores=columns[2],
            found_at=found_at,
            path_score=path_score,
            last_found=misses,
        )


def rank_paths(live: Sequence[LinkedPath], dead: Sequence[LinkedPath]) -> list[LinkedPath]:
    """Returns all paths of one class in the published final order.

    Args:
        live: Paths that were alive after the last frame, in the linker's order.
        dead: Paths that ended before, in the order in which they were closed.

    Returns:
        Best first, by the mean of the 20 highest scores; for equal scores live paths come first.
    """
    return sorted([*live, *dead], key=lambda path: -path.score)


def top_mean(scores: Sequence[float], count: int) -> float:
    """Returns the mean of the ``count`` highest scores, or of all if there are fewer.

    Scores are added one by one from the highest, as in the published code. Another order, or an
    exact sum, would resolve ties of equal scores differently.
    """
    best = sorted(scores, reverse=True)[:count]
    return reduce(add, best) / len(best)
