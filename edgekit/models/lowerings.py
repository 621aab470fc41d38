"""Names of the operators that replace deformable convolutions, without torch, for the help."""

from __future__ import annotations

__all__ = ["LOWERINGS"]

LOWERINGS = ("deform_conv", "grid_sample", "gather")
"""Names that ``edgekit.models.dcn.set_lowering`` accepts; each has an implementation there."""
