"""Decides by measured loss which layers stay float, so that the loss stays within the bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgekit.bundle import RoundingCheck
from edgekit.quantization.base import Layer

__all__ = ["SearchStep", "damage", "search"]


@dataclass(frozen=True, slots=True)
class SearchStep:
    """One attempt.

    Attributes:
        kept: Names of the layers that stayed float.
        check: Loss of the attempt.
    """

    kept: frozenset[str]
    check: RoundingCheck


def damage(check: RoundingCheck) -> float:
    """Returns the rounding noise as a share of the signal, summed over the heads.

    If the model returns boxes instead of heads, it is the share of detections that are lost.
    """
    if not check.sqnr:
        return 1 - check.agreement
    return sum(10 ** (-decibels / 10) for decibels in check.sqnr.values())


def search(
    layers: Sequence[Layer],
    check: Callable[[frozenset[str]], RoundingCheck],
    measure: Callable[[Sequence[Layer]], Mapping[str, RoundingCheck]],
    *,
    max_drop: float,
    fixed: frozenset[str] = frozenset(),
) -> tuple[list[SearchStep], dict[str, RoundingCheck]]:
    """Returns layers to float until a bound holds, beginning with the most damage per work.

    First all layers are quantized. If that loses too much, each layer is measured alone. Layers
    then return in the order of damage per multiplication, which stands for time but is equal on
    every run. One, two, four and so on return until the bound holds; then the last doubling is
    reduced to as few layers as possible.

    Args:
        layers: Layers that can be quantized.
        check: Function that returns the loss if given layers stay float.
        measure: Function that returns the loss of each given layer if only that layer is quantized.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        fixed: Names of layers that always stay float.

    Returns:
        The attempts, of which the last is the best; it exceeds the bound if none stays within it.
        Also the result of ``measure``; empty if it was not called.
    """
    steps = [SearchStep(fixed, check(fixed))]
    if steps[0].check.drop <= max_drop:
        return steps, {}
    macs = {layer.name: max(layer.macs, 1) for layer in layers}
    measured = dict(measure([layer for layer in layers if layer.name not in fixed]))
    free = list(measured)
    order = sorted(free, key=lambda name: -damage(measured[name]) / macs[name])

    def step(count: int) -> bool:
        kept = fixed | set(order[:count])
        steps.append(SearchStep(kept, check(kept)))
        return steps[-1].check.drop <= max_drop

    failed, count = 0, 1
    while count < len(order) and not step(count):
        failed, count = count, 2 * count
    if count >= len(order):
        # With all layers float it would be the float model.
        count = len(order) - 1
        if count <= failed or not step(count):
            return steps, measured
    good = steps[-1]
    while count - failed > 1:
        middle = (failed + count) // 2
        if step(middle):
            count, good = middle, steps[-1]
        else:
            failed = middle
    if steps[-1] is not good:
        steps.append(good)
    return steps, measured
