"""Tests that signals end a command, whatever the main thread does."""

from __future__ import annotations

import signal
import subprocess
import sys

LIMIT = 120

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
