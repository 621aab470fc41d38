"""Checks the declared aspect ratio of pixels that are not square."""

from __future__ import annotations

import logging
import math
from typing import SupportsFloat

__all__ = ["believable_aspect"]

_LOG = logging.getLogger(__name__)
_WIDEST = 5.0


def believable_aspect(declared: SupportsFloat | None, name: str) -> float:
    """Returns the declared pixel aspect ratio (width over height) if it is plausible, else 1.

    Args:
        declared: Ratio that the video declares; 0 or None if it declares none.
        name: Name of the video, for messages.
    """
    aspect = float(declared or 0)
    if 1 / _WIDEST <= aspect <= _WIDEST:
        return aspect
    if aspect and math.isfinite(aspect):
        _LOG.warning(
            "%s declares pixels %g times as wide as high. EdgeKit treats them as square.",
            name,
            aspect,
        )
    return 1.0
