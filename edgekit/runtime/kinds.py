"""Lists the kinds of cascade; does not import numpy, so that help loads fast."""

from __future__ import annotations

__all__ = ["FIRST_FRAME_RULES", "KINDS", "input_channels", "similarity_scale"]

KINDS = ("ssim", "ssim-shifted", "dssim", "rgb")
"""Kinds of cascade: KORSAL's variants 1, 2 and 3, and none.

``ssim`` compares nine shifts, ``ssim-shifted`` all except the identity. ``dssim`` gives 0.5 (1 -
map) instead of the map, and ``rgb`` has no map.
"""

FIRST_FRAME_RULES = ("zero", "repeat")
"""Replacement for a missing earlier frame: a black one, or the frame itself.

Published checkpoints were trained with the black one."""


def input_channels(kind: str) -> int:
    """Returns how many channels a cascade gives: 3 of the picture, and 3 of motion if any."""
    return 3 if kind == "rgb" else 6


def similarity_scale(kind: str) -> tuple[float, float]:
    """Returns factor and offset that turn a kind's map into similarity, which is 1 for no motion.

    So a map of ``dssim`` is 0 where nothing moves, and one of the other kinds is 1. Without a map,
    as in ``rgb``, the factor is 0, and nothing moves.
    """
    return {"rgb": (0.0, 1.0), "dssim": (-2.0, 1.0)}.get(kind, (1.0, 0.0))
