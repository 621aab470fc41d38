"""Precision against recall, and the score at which a class does best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["RECALLS", "WorkingPoint", "precision_at_recalls", "working_point"]

RECALLS = np.linspace(0.0, 1.0, 101)
"""Values of recall of each curve."""


@dataclass(frozen=True, slots=True)
class WorkingPoint:
    """Score at which the F1 of a class is highest, with its precision and recall there.

    Attributes:
        score: Smallest score that counts; infinite if nothing is found.
        precision: Share of what is found that is correct; 0 if nothing is found.
        recall: Share of what is annotated that is found.
    """

    score: float
    precision: float
    recall: float


def precision_at_recalls(scores: Array, hits: Array, total: int) -> Array:
    """Returns the highest precision at each of ``RECALLS`` or above it, (101,).

    Args:
        scores: Score of each detection of a class, (n,).
        hits: Whether each is correct, (n,) bool.
        total: Number of annotations, at least 1.

    Returns:
        Precision from 0 to 1; 0 at values of recall that are not reached.
    """
    _, recall, precision = _steps(scores, hits, total)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # A recall of 57 / 100 must not lie below 0.57 by rounding.
    return envelope[np.searchsorted(recall, RECALLS - 1e-9)]


def working_point(scores: Array, hits: Array, total: int) -> WorkingPoint:
    """Returns the working point of a class; of equal ones that with the highest score.

    Args:
        scores: Score of each detection of a class, (n,).
        hits: Whether each is correct, (n,) bool.
        total: Number of annotations; without any, nothing counts.
    """
    if not total or not hits.any():
        return WorkingPoint(float("inf"), 0.0, 0.0)
    ranked, recall, precision = _steps(scores, hits, total)
    # All detections of one score are above or below a threshold together.
    last = np.append(ranked[1:] != ranked[:-1], True)
    f1 = np.where(last, 2 * precision * recall / np.maximum(precision + recall, 1e-12), -1.0)
    best = int(f1.argmax())
    return WorkingPoint(float(ranked[best]), float(precision[best]), float(recall[best]))


def _steps(scores: Array, hits: Array, total: int) -> tuple[Array, Array, Array]:
    """Returns score, recall and precision after each detection, the best first."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    return scores[order], found / total, found / np.arange(1, len(found) + 1)
