"""Runs the tests that are near a module against its mutants, in a copy of the repository."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Cosmic Ray is not where the tests run
    from tests.mutation.mutants import Mutant

__all__ = ["Tests", "near_tests"]

_SERVER = Path(__file__).with_name("server.py")
_FACTOR, _MORE_SECONDS, _MOST_SECONDS = 4, 20, 900
_WALL = 20
"""Wall-clock seconds that tests may take for each CPU second; others use the machine too."""

_ELSEWHERE = {"pipeline": ("tests/running", "tests/test_live_run.py")}
"""Tests elsewhere that a room's faults also meet. Those of ``edgekit run`` would take too long."""


class Tests:
    """Runs tests against mutants.

    Args:
        copy: Folder of the copy; a module is changed there and back.
        python: Python program with EdgeKit's dependencies.
    """

    def __init__(self, copy: Path, python: str) -> None:
        self.copy = copy
        self._usual: dict[str, float] = {}
        self._moment = time.time()
        env = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        check = "from edgekit.runtime.native.library import setting; print(setting().problem)"
        words = [python, "-c", check]
        problem = subprocess.run(words, cwd=copy, env=env, capture_output=True, text=True).stdout
        if problem.strip():  # tests would be skipped, and their faults missed
            raise SystemExit(f"{problem.strip()}. Install the checkout again: pip install -e .")
        self._server = subprocess.Popen(
            [python, _SERVER], cwd=copy, env=env, stdin=-1, stdout=-1, text=True
        )

    def close(self) -> None:
        """Ends the process that runs the tests."""
        self._server.communicate()

    def find(self, mutant: Mutant) -> str:
        """Returns the tests that fail with a fault or take four times their usual CPU time.

        The text is empty if there are none.
        """
        for tests in near_tests(self.copy, mutant.module):
            usual = self._learn(tests)
            with self._faulty(mutant):
                if self._run(tests, usual)[0] != 0:
                    return tests
        return ""

    def check(self) -> None:
        """Raises unless all tests that were used still pass without a fault.

        Otherwise something else than a fault may have made them fail.
        """
        for tests, usual in self._usual.items():
            if self._run(tests, usual)[0]:
                raise SystemExit(f"These tests fail without a fault: {tests}")

    def _learn(self, tests: str) -> float:
        """Returns the CPU seconds of tests without a fault; they must pass."""
        if tests not in self._usual:
            status, self._usual[tests] = self._run(tests, _MOST_SECONDS)
            if status:
                raise SystemExit(f"These tests fail without a fault: {tests}")
        return self._usual[tests]

    def _run(self, tests: str, usual: float) -> tuple[int, float]:
        cpu = int(_FACTOR * usual + _MORE_SECONDS)
        request = {"tests": tests, "cpu": cpu, "wall": _WALL * cpu}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status, seconds = json.loads(self._server.stdout.readline())
        return int(status), float(seconds)

    @contextlib.contextmanager
    def _faulty(self, mutant: Mutant) -> Iterator[None]:
        path = self.copy / mutant.module
        original, before = path.read_text(), path.stat().st_mtime
        path.write_text(mutant.source)
        # Python believes stored bytecode of a source with the same size and time in seconds.
        self._moment += 1
        os.utime(path, (self._moment, self._moment))
        try:
            yield
        finally:
            path.write_text(original)
            os.utime(path, (before, before))


def near_tests(root: Path, module: str) -> list[str]:
    """Returns the tests of a module, the nearest first: its file, its folders, its room."""
    place = Path("tests", *Path(module).parts[1:])
    folders = [Path(*place.parts[:count]) for count in range(len(place.parts) - 1, 1, -1)]
    own = place.with_name(f"test_{place.name.lstrip('_')}")
    of_room = Path("tests", f"test_{place.parts[1]}.py")
    steps = [path for path in (own, of_room) if (root / path).is_file()]
    steps[1:1] = [folder for folder in folders if any((root / folder).rglob("test_*.py"))]
    elsewhere = _ELSEWHERE.get(place.parts[1], ())
    return [*dict.fromkeys(step.as_posix() for step in steps), *elsewhere]
