"""Which layers have to stay float so that a bound on the loss holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgekit.bundle import RoundingCheck
from edgekit.quantization.base import Layer

__all__ = ["Step", "damage", "search"]


@dataclass(frozen=True, slots=True)
class Step:
    """One try.

    Attributes:
        kept: Names of the layers that stayed float.
        check: The loss.
    """

    kept: frozenset[str]
    check: RoundingCheck


def damage(check: RoundingCheck) -> float:
    """Rounding noise as a share of the signal, summed over the heads.

    Where the model gives boxes and no heads, the share of its detections that are lost.
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
) -> tuple[list[Step], dict[str, RoundingCheck]]:
    """Gives layers back to float until a bound holds, those with the most damage for their work.

    All layers are tried as integers first. Where that loses too much, each is measured alone, and
    layers go back in order of damage per multiplication (which stands for time, and unlike time is
    the same on every run): one, two, four and so on until the bound holds, then as few of the
    last doubling as will do.

    Args:
        layers: Those that can be quantized.
        check: The loss where given layers stay float.
        measure: The loss of each of given layers where it alone is quantized.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        fixed: Layers that stay float in any case.

    Returns:
        The steps, the last being the best; its loss is over the bound where none holds. And what
        ``measure`` gave, if it was asked.
    """
    steps = [Step(fixed, check(fixed))]
    if steps[0].check.drop <= max_drop:
        return steps, {}
    macs = {layer.name: max(layer.macs, 1) for layer in layers}
    measured = dict(measure([layer for layer in layers if layer.name not in fixed]))
    free = list(measured)
    order = sorted(free, key=lambda name: -damage(measured[name]) / macs[name])

    def step(count: int) -> bool:
        kept = fixed | set(order[:count])
        steps.append(Step(kept, check(kept)))
        return steps[-1].check.drop <= max_drop

    failed, count = 0, 1
    while count < len(order) and not step(count):
        failed, count = count, 2 * count
    if count >= len(order):
        # All in float would be the float model.
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
