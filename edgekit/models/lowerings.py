"""Names of the lowerings of deformable convolutions, without torch, so that help can list them."""

from __future__ import annotations

__all__ = ["LOWERINGS"]

LOWERINGS = ("deform_conv", "grid_sample", "gather")
"""Names that ``edgekit.models.dcn.set_lowering`` accepts; each has an implementation there."""
