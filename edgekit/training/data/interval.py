"""Finds the time between the two pictures of a pair, which an export needs to know."""

from __future__ import annotations

import logging

import numpy as np

from edgekit._parameters import parameter
from edgekit.training.data.preparing import PreparedClips

__all__ = ["pair_interval"]

_LOG = logging.getLogger(__name__)
_SHORTEST, _LONGEST = 0.001, 10.0
"""Shortest and longest interval that a bundle may have, in seconds."""

_SPREAD = 1.5
"""Highest rate of all clips over the lowest, above which a run says so."""


def pair_interval(clips: PreparedClips, frame_gap: int) -> float | None:
    """Returns the seconds between the pictures of a training pair, as the median over all frames.

    Args:
        clips: Clips of the run, with their rates.
        frame_gap: Number of frames between the two pictures.

    Returns:
        The interval; None if no bundle can have it, as with pictures taken minutes apart.
    """
    order = np.argsort(clips.rates, kind="stable")
    rates = clips.rates[order]
    frames = np.cumsum(np.diff(clips.index.start)[order])
    rate = float(rates[np.searchsorted(frames, frames[-1] / 2)])
    if rates[-1] > _SPREAD * rates[0]:
        _LOG.warning(
            "The videos have between %.4g and %.4g frames per second, so their pairs are %.3g to "
            "%.3g s apart. The checkpoint states the median, %.3g s, and bundles of it compare "
            "pictures at that distance.",
            rates[0], rates[-1], frame_gap / rates[-1], frame_gap / rates[0], frame_gap / rate,
        )  # fmt: skip
    if _SHORTEST <= frame_gap / rate <= _LONGEST:
        return frame_gap / rate
    _LOG.warning(
        "The videos have %.4g frames per second, so their pairs are %.3g s apart; a bundle can "
        "state %g to %g s. Choose one for the export: %s.",
        rate, frame_gap / rate, _SHORTEST, _LONGEST, parameter("interval"),
    )  # fmt: skip
    return None
