"""Lists the kinds of cascade; does not import numpy, so that help loads fast."""

from __future__ import annotations

__all__ = ["FIRST_FRAME_RULES", "KINDS"]

KINDS = ("ssim", "ssim-shifted", "dssim", "rgb")
"""Kinds of cascade: KORSAL's variants 1, 2 and 3, and none.

``ssim`` compares nine shifts, ``ssim-shifted`` all except the identity. ``dssim`` gives 0.5 (1 -
map) instead of the map, and ``rgb`` has no map.
"""

FIRST_FRAME_RULES = ("zero", "repeat")
"""Replacement for a missing earlier frame: a black one, or the frame itself.

Published checkpoints were trained with the black one."""
