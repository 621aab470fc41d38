"""Learning rates over a run."""

from __future__ import annotations

import math

__all__ = ["rate_factor"]

_WARM_UP = 0.05
_LAST = 0.01

# KORSAL's code divides the rate by 10 after epochs 25 and 40, and its README trains 60 epochs.
_DROPS = (25, 40)
_EPOCHS = 60


def rate_factor(schedule: str, step: int, total: int) -> float:
    """Returns the factor on the learning rates in a step.

    Args:
        schedule: ``cosine`` for a short rise, then half a cosine down to 0.01; ``steps`` for a
            tenth after 25/60 of the run, and a hundredth after 40/60.
        step: Number of the step in the run, from 0.
        total: Number of steps in the run.
    """
    if schedule == "steps":
        return float(0.1 ** sum(step * _EPOCHS >= drop * total for drop in _DROPS))
    rise = min(1.0, (step + 1) / max(1, round(total * _WARM_UP)))
    return rise * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * min(1.0, step / total))) / 2)
