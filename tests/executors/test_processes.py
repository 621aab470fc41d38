"""Processes that do independent items of work, and what becomes of the work when they die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import LostWorkerError
from edgekit.executors.opening import open_executor
from edgekit.executors.processes import WorkerProcesses
from tests.waiting import wait_until

DIES_ONCE = """
import os, pathlib
mark = pathlib.Path({!r})
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), 9)
"""

WRITES = """
import pathlib, tempfile, time
with tempfile.TemporaryDirectory(dir={0!r}):
    pathlib.Path({0!r}, "mark").touch()
    time.sleep(3600)
"""

UNPICKLABLE = """
class Unpicklable(Exception):
    pass

raise Unpicklable("what happened")
"""


WITHOUT_FILES = """
import os, resource
from edgekit.errors import ResourceError
from edgekit.executors.processes import WorkerProcesses

with WorkerProcesses(1) as executor:
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
    error = executor.submit(abs, -1).exception()
print(type(error).__name__, error)
"""


@pytest.fixture
def two() -> Iterator[WorkerProcesses]:
    with WorkerProcesses(2) as executor:
        yield executor
    assert not multiprocessing.active_children()


def test_one_worker_is_this_process() -> None:
    with open_executor(1) as executor:
        assert executor is None


def test_results_keep_the_order_of_their_items(two: WorkerProcesses) -> None:
    assert list(two.map(pow, range(20), [2] * 20)) == [n * n for n in range(20)]
    assert os.getpid() not in set(two.map(eval, ["__import__('os').getpid()"] * 4))


def test_an_exception_arrives_with_the_traceback_of_its_process(two: WorkerProcesses) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        two.submit(eval, "1 / 0").result()
    assert "eval" in str(caught.value.__cause__) or "<string>" in str(caught.value.__cause__)
    assert two.submit(eval, "1 + 1").result() == 2


def test_what_cannot_be_pickled_is_an_error_of_its_item(two: WorkerProcesses) -> None:
    with pytest.raises(pickle.PicklingError):
        two.submit(eval, "lambda: 0").result()
    with pytest.raises(RuntimeError, match="Unpicklable: what happened"):
        two.submit(exec, UNPICKLABLE).result()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        two.submit(lambda: 0).result()
    assert two.submit(eval, "1 + 1").result() == 2


def test_the_item_of_a_process_that_is_killed_runs_again(
    two: WorkerProcesses, tmp_path: Path
) -> None:
    killed = two.submit(exec, DIES_ONCE.format(str(tmp_path / "mark")))
    others = [two.submit(pow, n, 2) for n in range(20)]
    assert killed.result() is None
    assert [other.result() for other in others] == [n * n for n in range(20)]


def test_an_item_that_kills_each_process_is_an_error_and_the_others_go_on(
    two: WorkerProcesses,
) -> None:
    outcomes = [two.submit(eval, code) for code in ("1", "__import__('os')._exit(7)", "3")]
    with pytest.raises(LostWorkerError, match=r"2 times .*: exit status 7, then exit status 7"):
        outcomes[1].result()
    assert [outcomes[0].result(), outcomes[2].result()] == [1, 3]


def test_an_exception_in_the_block_stops_the_work_at_once() -> None:
    def interrupted() -> None:
        with WorkerProcesses(2) as executor:
            waiting = [executor.submit(time.sleep, 3600) for _ in range(4)]
            assert not any(future.done() for future in waiting)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not multiprocessing.active_children()


def test_work_that_is_stopped_leaves_no_temporary_files(tmp_path: Path) -> None:
    def interrupted() -> None:
        with WorkerProcesses(1) as executor:
            writing = executor.submit(exec, WRITES.format(str(tmp_path)))
            wait_until(lambda: (tmp_path / "mark").exists() or writing.done())
            assert not writing.done()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_a_script_without_a_guard_gets_the_line_that_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from edgekit.executors.opening import open_executor\n"
        "with open_executor(2) as executor:\n"
        "    executor.submit(pow, 2, 2).result()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ResourceError: A worker process could not start: exit status 1." in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr


def test_a_process_that_the_system_does_not_start_is_a_lack_of_resources() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FILES], capture_output=True, text=True, check=True
    )
    assert "ResourceError A worker process could not start: Too many open files." in done.stdout
