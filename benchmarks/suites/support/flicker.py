"""Counts the detections that a quantized model gains, loses or moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgekit.bundle import Bundle
from edgekit.calibration.samples import Samples
from edgekit.quantization.heads_loss import SCORE, rows_of
from edgekit.runtime.types import Array
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import open_session
from edgekit.targets.verify import agreement

__all__ = ["flicker", "shown"]

_SAME_BOX = 0.8


def shown(bundle: Bundle, samples: Samples, options: SessionOptions) -> Iterator[Array]:
    """Yields the detections that ``edgekit run`` would show, for each sample.

    Args:
        bundle: Model to run.
        samples: Inputs of the model.
        options: Options of its session.

    Yields:
        (k, 6): x1, y1, x2, y2 in input pixels, score above 0.3, class.
    """
    with open_session(bundle, options) as session:
        for given in samples:
            rows = rows_of(bundle, session.infer(given))
            yield rows[rows[:, 4] > SCORE]


def flicker(before: Iterable[Array], after: Iterable[Array]) -> float:
    """Returns the number of detections without a partner, as a share of those before.

    A partner has the same class and an IoU of more than 0.8. Detections that only one of the two
    models shows count, whichever it is.

    Args:
        before: Detections of the float model in each sample, (k, 6).
        after: Detections of the quantized model in each sample, (k, 6).
    """
    total, alone = 0, 0.0
    for one, other in zip(before, after, strict=True):
        total += len(one)
        alone += len(one) * (1 - agreement(one, other, same=_SAME_BOX))
        alone += len(other) * (1 - agreement(other, one, same=_SAME_BOX))
    return alone / max(total, 1)
