"""Tests EdgeKit inside a program with its own threads, sockets, handlers and umask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.synthetic.dataset import write_dataset
from edgekit.system import own_process
from edgekit.system.telemetry import OWN_PROCESS

PROGRAM = Path(__file__).with_name("host_program.py")


def test_a_program_with_threads_stays_as_it_is(tmp_path):
    pytest.importorskip("av")
    footage = tmp_path / "footage"
    write_dataset(footage, [161], frames=12)
    own = {*OWN_PROCESS, *own_process._SETTINGS}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(footage), str(tmp_path)],
        env={name: value for name, value in os.environ.items() if name not in own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "unchanged\nconnected\n", done.stderr
    assert done.stderr == "still the program's\n"
    assert done.returncode == 0
