"""Names of the layouts of annotated clips, without numpy, so that help can list them."""

from __future__ import annotations

__all__ = ["DATASETS"]

DATASETS = ("json", "ucf24", "jhmdb21")
"""EdgeKit's own ``annotations.json``, and the published layouts of UCF101-24 and J-HMDB-21."""
