"""Every suite shows its help and then runs nothing, so that a reader learns what it would do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import edgekit.benchmarks.suites as suites

(FOLDER,) = map(Path, suites.__path__)
NAMES = [
    ".".join(path.relative_to(FOLDER).with_suffix("").parts)
    for path in sorted(FOLDER.glob("*/*.py"))
    if path.parent.name != "support" and "\ndef main(" in path.read_text()
]


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_shows_its_help(name, monkeypatch, capsys):
    suite = importlib.import_module(f"{suites.__name__}.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        suite.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")
