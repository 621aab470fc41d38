"""Lists the choices of pipeline options; imports nothing, so that help loads fast."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["DROP_POLICIES", "DropPolicy"]

DropPolicy: TypeAlias = Literal["latest", "none"]
"""Frames to drop if the network is slower than the source: all but the newest, or none."""

DROP_POLICIES = get_args(DropPolicy)
