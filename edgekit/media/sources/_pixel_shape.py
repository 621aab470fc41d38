"""Pixels that are not square."""

from __future__ import annotations

import logging
import math
from typing import SupportsFloat

__all__ = ["believable_aspect"]

_LOG = logging.getLogger(__name__)
_WIDEST = 5.0


def believable_aspect(declared: SupportsFloat | None, name: str) -> float:
    """Width of a pixel over its height, as declared where it can be so, else 1.

    Args:
        declared: As the video has it; 0 or None where it does not.
        name: Of the video, for people.
    """
    aspect = float(declared or 0)
    if 1 / _WIDEST <= aspect <= _WIDEST:
        return aspect
    if aspect and math.isfinite(aspect):
        _LOG.warning(
            "%s declares pixels %g times as wide as high; they are taken for square.", name, aspect
        )
    return 1.0
