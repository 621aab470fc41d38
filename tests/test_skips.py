"""Tests that a skip that is not listed fails, as ``.ci/run`` requires."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_TESTS = """
import pytest

@pytest.mark.skip("no moon")
def test_listed(): ...

@pytest.mark.parametrize("n", [1, 2])
def test_with_parameters(n): pytest.skip("no sun")

def test_by_its_words(): pytest.skip("needs the tide")

@pytest.mark.xfail
def test_expected(): raise AssertionError
"""
_UNLISTED = """
import pytest

@pytest.fixture
def star(): pytest.skip("no star")

@pytest.mark.skip("no moon")
def test_mark(): ...

def test_fixture(star): ...

def test_call(): pytest.skip("no cloud")
"""
_LIST = """# why
tests/test_a.py::test_listed -- there is one moon
tests/test_a.py::test_with_parameters -- night
the tide -- it comes and goes
"""


@pytest.fixture
def run(tmp_path):
    """Runs pytest on tests of these texts, and returns its status and its output."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "tests" / "skips.txt").write_text(_LIST)

    def call(text, **environment):
        (tmp_path / "tests" / "test_a.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout

    return call


def test_listed_skips_pass(run):
    status, said = run(_TESTS, EDGEKIT_LISTED_SKIPS="1")
    assert status == 0, said
    assert "4 skipped, 1 xfailed" in said


def test_skips_that_are_not_listed_fail(run):
    status, said = run(_UNLISTED, EDGEKIT_LISTED_SKIPS="1")
    assert status == 1
    assert "1 failed" in said
    assert "2 errors" in said
    assert "tests/test_a.py::test_call: Skipped: no cloud." in said
    assert run(_UNLISTED, EDGEKIT_LISTED_SKIPS="")[0] == 0


def test_a_module_that_is_skipped_as_a_whole_fails(run):
    text = 'import pytest\npytest.importorskip("no_such_module")\n'
    status, said = run(text, EDGEKIT_LISTED_SKIPS="1")
    assert status == 2
    assert "no_such_module" in said


def test_the_list_gives_a_reason_for_each():
    lines = (ROOT / "tests" / "skips.txt").read_text().splitlines()
    for line in lines:
        what, _, why = line.partition(" -- ")
        assert line.startswith("#") or (what and why)
        path, _, name = what.partition("::")
        assert not name or f"def {name}(" in (ROOT / path).read_text()
