"""Lists the names of the linkers and their costs; imports nothing, so that help loads fast."""

from __future__ import annotations

__all__ = ["COSTS", "LINKS", "PUBLISHED"]

PUBLISHED = ("road", "korsal-hold", "korsal-motion")
"""Linkers of KORSAL's code."""

LINKS = ("edgekit", *PUBLISHED)
"""All linkers; the first is EdgeKit's own."""

COSTS = ("score", "similarity", "score-plus-similarity")
"""Preferences of paths in a published linker."""
