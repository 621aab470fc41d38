"""Whether fine-tuned weights lose less than those they were made from, once they are integers."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgekit._progress import SILENT, Progress
from edgekit.bundle import FineTuning, RoundingCheck
from edgekit.calibration.store import Store
from edgekit.quantization.base import Recipe
from edgekit.quantization.judging import Judge
from edgekit.quantization.search import damage
from edgekit.quantization.tuned import Tuned
from edgekit.quantization.workbench import Workbench

__all__ = ["Comparison", "clearly_better", "compare"]

_MOST_LEFT = 0.9
"""Of the noise."""

_LEAST_GAIN = 0.005
"""Of frame-mAP."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What fine-tuning gave in the target's own integers.

    Attributes:
        record: How it went, and whether its weights were taken.
        without: The loss with the weights as they came.
        tuned: With the fine-tuned ones; None where the run found none that are better.
    """

    record: FineTuning
    without: RoundingCheck
    tuned: RoundingCheck | None


def compare(
    plain: Workbench,
    tuned: Tuned,
    recipe: Recipe,
    judge: Judge,
    store: Store,
    *,
    max_drop: float,
    progress: Progress = SILENT,
) -> tuple[Workbench, Comparison]:
    """Quantizes with and without fine-tuning, and takes what loses less.

    That is, what is less over the bound, and then what has less noise in the heads, by a tenth at
    least; or, where annotations were learned from, which may well change the heads, frame-mAP that
    is higher by 0.005 at least. Smaller differences may be noise.

    Args:
        plain: The float model.
        tuned: It with fine-tuned weights.
        recipe: How to quantize both.
        judge: Of the float model.
        store: Where finished work is kept.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        progress: Told of each sample.
    """
    without = plain.judged(recipe, judge, progress)
    if not tuned.record.used:
        return plain, Comparison(tuned.record, without, None)
    bench = Workbench.prepare(tuned.bundle, plain.samples, store, progress)
    found = bench.judged(recipe, judge, progress)
    if clearly_better(found, without, annotated=tuned.record.annotated, max_drop=max_drop):
        return bench, Comparison(tuned.record, without, found)
    record = msgspec.structs.replace(tuned.record, used=False)
    return plain, Comparison(record, without, found)


def clearly_better(
    found: RoundingCheck, without: RoundingCheck, *, annotated: bool, max_drop: float
) -> bool:
    """Whether a loss is less than another by more than chance; see ``compare``."""
    over = [max(check.drop - max_drop, 0.0) for check in (found, without)]
    if over[0] != over[1]:
        return over[0] < over[1]
    if annotated:
        return found.frame_map >= without.frame_map + _LEAST_GAIN
    return damage(found) <= _MOST_LEFT * damage(without)
