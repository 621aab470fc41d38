"""Tests that signals end a command, whatever the main thread does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from edgekit.cli.running.interrupt import Stopper
from tests.waiting import LIMIT

_BUSY = """
import hashlib
from edgekit.cli.running.interrupt import Stopper

stopper = Stopper()
stopper.stop_with(lambda: None)
with stopper.listening():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)  # in C, for a quarter of an hour
"""

_WAITING = """
import time
from edgekit.cli.running.interrupt import Stopper

stopper = Stopper()
stopper.stop_with(lambda: None)
try:
    with stopper.listening():
        print("ready", flush=True)
        while not stopper.interrupted:
            time.sleep(0.01)
        print("stopped", flush=True)
        time.sleep(1000)
except KeyboardInterrupt:
    print("in order")
"""


def started(code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_second_signal_ends_a_model_that_never_returns() -> None:
    with started(_BUSY) as process:
        process.send_signal(signal.SIGINT)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert errors == b"Interrupted.\n"


def test_what_python_can_end_by_itself_ends_in_order() -> None:
    with started(_WAITING) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopped\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, errors) == (0, b"in order\n", b"")


_SIGNALLED = """
import atexit, os, runpy, sys

when, number, sys.argv[1:] = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

class Finder:
    def find_spec(name, *_):
        if name == when:
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Finder)
if when == "at the end":
    atexit.register(os.kill, os.getpid(), number)
runpy.run_module("edgekit", run_name="__main__")
"""
"""Sends a signal when the run imports a certain module, before or after its own handlers."""


@pytest.fixture
def signalled(spot_bundle, spot_video, tmp_path):
    options = tmp_path / "options.toml"
    options.write_text(f'source = "{spot_video(5)}"\nbundle = "{spot_bundle}"\n')

    def run(when: str, number: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _SIGNALLED, when, str(number), "run", "--json"]
        command += ["--config", str(options)]
        return subprocess.run(command, capture_output=True, text=True, start_new_session=True)

    return run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", ["click", "edgekit.cli.run", "edgekit.running.options"])
def test_a_signal_ends_a_run_that_is_still_imported(signalled, when, number) -> None:
    done = signalled(when, number)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("when", ["click", "edgekit.cli.run", "edgekit.running.options"])
def test_a_hangup_while_a_run_is_imported_is_remembered(signalled, when) -> None:
    done = signalled(when, signal.SIGHUP)
    assert done.returncode == 0
    assert json.loads(done.stdout)["frames"] == 5
    assert "A tube counts if its score is at least" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("when", ["edgekit.cli.running.report", "at the end"])
def test_no_signal_keeps_a_run_that_has_ended_from_its_report(signalled, when, number) -> None:
    done = signalled(when, number)
    late = when != "at the end" and number == signal.SIGTERM
    assert done.returncode == (130 if late else 0)
    assert json.loads(done.stdout)["frames"] == 5
    assert "Traceback" not in done.stderr


def test_an_interrupt_that_python_ignores_ends_the_run_when_it_begins() -> None:
    stopper = Stopper()
    with stopper.listening():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            stopper.stop_with(lambda: None)
