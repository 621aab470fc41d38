"""Tests a run in which one of two sources cannot be opened."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import sys

from edgekit.benchmarks.suites.faults.bad_source import bad_sources, judge, write_good


def test_every_kind_ends_with_its_error_wherever_it_stands(tmp_path):
    good = write_good(tmp_path / "good.mp4")
    with bad_sources(tmp_path, good) as kinds:
        cases = zip(kinds.values(), itertools.cycle((0, 1)), itertools.cycle(([], [], ["--json"])))
        for bad, place, options in cases:
            sources = [str(good)]
            sources.insert(place, bad)
            assert judge(sources, bad, options) == ""


def test_an_interrupt_while_a_source_is_opened_ends_with_130(tmp_path):
    good = write_good(tmp_path / "good.mp4")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [sys.executable, "-m", "edgekit", "run", "--patience", "300"]
        command += ["--source", str(good)]
        command += ["--source", f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 130
        assert stdout == b""
        assert stderr.splitlines()[-1] == b"Interrupted."
