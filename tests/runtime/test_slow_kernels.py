"""Tests the message about compiled kernels that are missing or outdated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit

SAID = "EdgeKit computes with numpy, which is up to ten times slower: "
REASONS = {
    "missing": "the compiled kernel was not built",
    "stale": "the compiled kernel was built from other sources",
}


@pytest.fixture(scope="module", params=REASONS)
def checkout(request, tmp_path_factory):
    """A copy of the package whose library is of no use, and why."""
    folder = tmp_path_factory.mktemp("checkout")
    package = Path(edgekit.__file__).parent
    unfinished = shutil.ignore_patterns("*.pyc.*")  # by other tests, as they import modules
    shutil.copytree(package, folder / "edgekit", ignore=unfinished)
    native = folder / "edgekit" / "runtime" / "native"
    if request.param == "missing":
        (native / "_kernels.so").unlink(missing_ok=True)
    else:
        with (native / "body.h").open("a") as file:
            file.write("/* changed */")
    return folder, REASONS[request.param]


@pytest.fixture
def run(checkout, tmp_path):
    folder, reason = checkout

    def call(*words, **variables):
        environment = {**os.environ, "PYTHONPATH": str(folder), **variables}
        environment.pop("EDGEKIT_KERNEL", None) if not variables else None
        command = [sys.executable, "-m", "edgekit", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done, done.stderr.count(f"{SAID}{reason}. Run, where a C compiler is: pip install")

    return call


def test_run_says_it_once(run, spots, spotter):
    clips = [spots / "spot0.avi", spots / "spot1.avi"]
    words = ("run", *clips, "--bundle", spotter.path, "--max-frames", 3, "--threads", 1)
    assert run(*words)[1] == 1
    done, count = run(*words, EDGEKIT_KERNEL="numpy")
    assert count == 0
    assert SAID not in done.stderr


def test_eval_says_it_once_for_all_its_processes(run, spots, spotter):
    words = ("eval", spotter.path, "--root", spots, "--workers", 2)
    assert run(*words)[1] == 1


def test_doctor_reports_it_as_a_problem(run, checkout):
    done, count = run("doctor", "--json")
    assert count == 0
    found = json.loads(done.stdout)
    assert found["kernel"]["kernel"] == "numpy"
    (problem,) = found["problems"]
    assert problem.startswith(f"{SAID}{checkout[1]}. Run, where a C compiler is: pip install")
    assert json.loads(run("doctor", "--json", EDGEKIT_KERNEL="numpy")[0].stdout)["problems"] == []
