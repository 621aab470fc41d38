"""Decides whether fine-tuned weights lose less in INT8 than the original weights."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgekit._progress import SILENT, Progress
from edgekit.bundle import FineTuning, RoundingCheck
from edgekit.calibration.store import Store
from edgekit.quantization.base import Recipe
from edgekit.quantization.finetuning.bundle import FineTunedBundle
from edgekit.quantization.heads_loss import HeadsLoss
from edgekit.quantization.search import damage
from edgekit.quantization.trials import Workbench

__all__ = ["Comparison", "clearly_better", "compare"]

_MOST_LEFT = 0.9
"""Largest share of the noise that may remain for fine-tuning to count as better."""

_LEAST_GAIN = 0.005
"""Smallest gain of frame-mAP for fine-tuning to count as better."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of fine-tuning, measured with the target's own quantization.

    Attributes:
        record: Record of the fine-tuning, and whether its weights were used.
        without: Loss with the original weights.
        tuned: Loss with the fine-tuned weights; None if the run found no better ones.
    """

    record: FineTuning
    without: RoundingCheck
    tuned: RoundingCheck | None


def compare(
    plain: Workbench,
    tuned: FineTunedBundle,
    recipe: Recipe,
    judge: HeadsLoss,
    store: Store,
    *,
    max_drop: float,
    progress: Progress = SILENT,
) -> tuple[Workbench, Comparison]:
    """Quantizes with and without fine-tuning, and returns the result that loses less.

    The first criterion is the loss in excess of the bound. The second is noise in the heads, which
    must be lower by at least a tenth. If the run learned from annotations, which may change the
    heads, it is frame-mAP, which must be higher by at least 0.005. Smaller differences may be
    noise.

    Args:
        plain: Float model.
        tuned: Float model with fine-tuned weights.
        recipe: Settings for quantizing both.
        judge: Judge of the float model.
        store: Store for intermediate results.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        progress: Progress display, called for each sample.
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
    """Returns whether a loss is clearly lower than another; see ``compare``."""
    over = [max(check.drop - max_drop, 0.0) for check in (found, without)]
    if over[0] != over[1]:
        return over[0] < over[1]
    if annotated:
        return found.frame_map >= without.frame_map + _LEAST_GAIN
    return damage(found) <= _MOST_LEFT * damage(without)
