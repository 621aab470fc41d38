"""The small networks of the targets' tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_place = Path(__file__).parents[1] / "targets" / "conftest.py"
_source = importlib.util.spec_from_file_location("targets_conftest", _place)
assert _source is not None
assert _source.loader is not None
_targets = importlib.util.module_from_spec(_source)
_source.loader.exec_module(_targets)

checkpoint = _targets.checkpoint
deformable = _targets.deformable
