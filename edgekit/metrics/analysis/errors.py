"""Sorts wrong boxes and tubes by kind, and computes the AP that repairing a kind would give.

The idea is that of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection
Errors", ECCV 2020). A box or tube is repaired in one of two ways. If it means an annotation that
nothing else found, it becomes correct: with the right class, place and extent. Otherwise it is
removed. Of several that mean one annotation, the best becomes correct and the others are removed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from edgekit.metrics.average_precision import average_precision
from edgekit.runtime.types import Array

__all__ = ["Entries", "ErrorKind", "join", "repaired_ap"]


class ErrorKind(IntEnum):
    """Kinds of errors of a box or tube; the value of each is its name in reports."""

    CORRECT = 0
    CLASS = 1
    EXTENT = 2
    PLACE = 3
    BOTH = 4
    DOUBLE = 5
    BACKGROUND = 6
    MISSED = 7

    def __str__(self) -> str:
        return _NAMES[self]


_NAMES = {
    ErrorKind.CORRECT: "correct",
    ErrorKind.CLASS: "wrong class",
    ErrorKind.EXTENT: "wrong begin or end",
    ErrorKind.PLACE: "wrong place",
    ErrorKind.BOTH: "wrong class and place",
    ErrorKind.DOUBLE: "double",
    ErrorKind.BACKGROUND: "background",
    ErrorKind.MISSED: "missed",
}

_REPAIRABLE = (ErrorKind.CLASS, ErrorKind.EXTENT, ErrorKind.PLACE)
"""Kinds that mean an annotation, and can therefore become correct."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Found boxes or tubes, each with its class, and the annotated ones.

    Attributes:
        labels: Class of each found one, (n,).
        scores: Score of each found one, (n,).
        kinds: ``ErrorKind`` of each found one, (n,).
        targets: Annotation that each found one means, as a row of ``truth``, (n,); -1 if its kind
            means none.
        truth: Class of each annotated one, (g,).
    """

    labels: Array
    scores: Array
    kinds: Array
    targets: Array
    truth: Array

    def above(self, thresholds: Array) -> Entries:
        """Returns those that score at least the threshold of their class, (C,)."""
        kept = self.scores >= thresholds[self.labels]
        return Entries(
            self.labels[kept], self.scores[kept], self.kinds[kept], self.targets[kept], self.truth
        )

    def found(self, *kinds: ErrorKind) -> Array:
        """Returns which annotations have an entry of one of these kinds, (g,) bool."""
        found = np.zeros(len(self.truth), np.bool_)
        found[self.targets[np.isin(self.kinds, kinds) & (self.targets >= 0)]] = True
        return found

    def missed(self) -> Array:
        """Returns the annotations that no entry means, (g,) bool."""
        return ~self.found(ErrorKind.CORRECT, *_REPAIRABLE)

    def counts(self) -> dict[ErrorKind, int]:
        """Returns the number of entries of each kind, and of missed annotations."""
        counts = np.bincount(self.kinds, minlength=len(ErrorKind)).tolist()
        return {kind: counts[kind] for kind in ErrorKind} | {
            ErrorKind.MISSED: int(self.missed().sum())
        }


def join(parts: Sequence[Entries]) -> Entries:
    """Returns the entries of all videos as those of one."""
    first = np.cumsum([0, *(len(part.truth) for part in parts)])[:-1]
    moved = [
        replace(part, targets=np.where(part.targets >= 0, part.targets + begin, -1))
        for part, begin in zip(parts, first.tolist(), strict=True)
    ]
    return Entries(
        np.concatenate([part.labels for part in moved]),
        np.concatenate([part.scores for part in moved]),
        np.concatenate([part.kinds for part in moved]),
        np.concatenate([part.targets for part in moved]),
        np.concatenate([part.truth for part in moved]),
    )


def repaired_ap(entries: Entries, classes: int, kinds: Collection[ErrorKind] = ()) -> Array:
    """Returns the AP of each class if all errors of some kinds were repaired.

    Args:
        entries: Entries of all videos.
        classes: Number of classes, C.
        kinds: Kinds that are repaired; without any it is the AP as it is.

    Returns:
        (C,) from 0 to 1; NaN for a class that is not annotated. Repairing never lowers it, and
        repairing all kinds gives 1.
    """
    labels, hits = entries.labels.copy(), entries.kinds == ErrorKind.CORRECT
    wrong = np.isin(entries.kinds, list(kinds))
    free = ~entries.found(ErrorKind.CORRECT)
    able = wrong & np.isin(entries.kinds, _REPAIRABLE) & (entries.targets >= 0)
    able[able] = free[entries.targets[able]]
    ranked = np.flatnonzero(able)
    ranked = ranked[np.argsort(-entries.scores[ranked], kind="stable")]
    best = ranked[np.unique(entries.targets[ranked], return_index=True)[1]]
    kept = ~wrong
    kept[best] = hits[best] = True
    labels[best] = entries.truth[entries.targets[best]]
    counted = (
        ~entries.missed() if ErrorKind.MISSED in kinds else np.ones(len(entries.truth), np.bool_)
    )
    annotated, total = (
        np.bincount(entries.truth[chosen], minlength=classes).tolist()
        for chosen in (slice(None), counted)
    )
    found = [kept & (labels == label) for label in range(classes)]
    return np.array(
        [
            # With every missed annotation gone, what is left to find may be nothing.
            float(not rows.any())
            if annotated[label] and not total[label]
            else average_precision(entries.scores[rows], hits[rows], total[label])
            for label, rows in enumerate(found)
        ]
    )
