"""Tests which tests a module meets, and that each module of the rooms has some."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.tests import near_tests

ROOT = Path(__file__).parents[2]


def test_the_nearest_tests_come_first() -> None:
    assert near_tests(ROOT, "edgekit/metrics/geometry.py") == [
        "tests/metrics/test_geometry.py",
        "tests/metrics",
    ]
    assert near_tests(ROOT, "edgekit/metrics/analysis/curves.py") == [
        "tests/metrics/analysis/test_curves.py",
        "tests/metrics/analysis",
        "tests/metrics",
    ]
    assert near_tests(ROOT, "edgekit/linking/_path_table.py") == ["tests/linking"]
    assert near_tests(ROOT, "edgekit/pipeline/capture.py")[:3] == [
        "tests/pipeline/test_capture.py",
        "tests/pipeline",
        "tests/running",
    ]
    assert set(near_tests(ROOT, "edgekit/bundle/folder.py")) == {
        "tests/bundle",
        "tests/test_bundle.py",
    }


@pytest.mark.parametrize("room", ["bundle", "linking", "metrics", "pipeline", "runtime"])
def test_each_module_meets_tests(room: str) -> None:
    for path in (ROOT / "edgekit" / room).rglob("*.py"):
        near = near_tests(ROOT, path.relative_to(ROOT).as_posix())
        assert near, path
        assert all((ROOT / tests).exists() for tests in near)
