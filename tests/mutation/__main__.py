"""Runs tests against modules with one small fault each, and prints the faults that no test finds.

    python -m tests.mutation [--sample N] [--seed N] [--python PYTHON] [--out FILE] [ROOM...]

A fault meets the tests of its module's own file first, then those of the folder and of the room. It
counts as found if one fails, crashes or takes four times its usual CPU time. equivalent.txt lists
faults that change nothing. docs/mutation.md has the figures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutation.mutants import sample
from tests.mutation.tests import Tests

ROOT = Path(__file__).parents[2]
ROOMS = ("bundle", "linking", "metrics", "pipeline", "runtime")
_EQUIVALENT = Path(__file__).with_name("equivalent.txt")


def main() -> None:
    """Judges the tests of each room."""
    parser = argparse.ArgumentParser(description="Test the tests by faults.")
    parser.add_argument("rooms", nargs="*", default=ROOMS, metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--sample", type=int, default=60, help="Number of faults in each room.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the choice of faults.")
    parser.add_argument("--python", default=sys.executable, help="Python that runs the tests.")
    parser.add_argument("--out", type=Path, help="File to add each result to, as JSON Lines.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "edgekit")
        _copy_to(copy)
        # Not resolved: a virtual environment is known by the name of its Python.
        tests = Tests(copy, str(Path(options.python).absolute()))
        try:
            for room in options.rooms:
                _test_room(room, tests, options)
        finally:
            tests.close()


def _copy_to(folder: Path) -> None:
    """Copies the last commit and the compiled kernels, and links the golden data beside it."""
    folder.mkdir()
    data = ROOT.resolve().with_name("shared")
    if data.is_dir():
        folder.with_name("shared").symlink_to(data)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=-1, check=True)
    subprocess.run(["tar", "x"], cwd=folder, input=archive.stdout, check=True)
    for kernels in ROOT.glob("edgekit/runtime/native/*.so"):
        (folder / kernels.relative_to(ROOT)).write_bytes(kernels.read_bytes())


def _test_room(room: str, tests: Tests, options: argparse.Namespace) -> None:
    listed = {line.partition(" -- ")[0] for line in _EQUIVALENT.read_text().splitlines()}
    modules = sorted((tests.copy / "edgekit" / room).rglob("*.py"))
    names = [path.relative_to(tests.copy).as_posix() for path in modules]
    found = missed = equivalent = 0
    for mutant in sample(tests.copy, names, options.sample, options.seed):
        if mutant.key in listed:
            equivalent += 1
            continue
        finder = tests.find(mutant)
        found, missed = found + bool(finder), missed + (not finder)
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps({"found by": finder, "fault": mutant.key}) + "\n")
        if not finder:
            print(mutant.key, flush=True)
    tests.check()
    every = found + missed
    print(f"{room}: {found} of {every} faults found, {found / every:.1%}; {equivalent} equivalent.")


if __name__ == "__main__":
    main()
