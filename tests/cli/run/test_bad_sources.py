"""Tests a run in which one of two sources cannot be opened."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit.media._opencv import cv2


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A video that takes OpenCV some milliseconds to open."""
    path = tmp_path / "good.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (1280, 720))
    for number in range(50):
        writer.write(np.full((720, 1280, 3), 5 * number, np.uint8))
    writer.release()
    return path


@pytest.fixture
def bad_sources(tmp_path: Path, good: Path) -> Iterator[list[str]]:
    """Values for ``--source`` that cannot be opened."""
    (tmp_path / "empty folder").mkdir()
    (tmp_path / "broken pictures").mkdir()
    (tmp_path / "broken pictures" / "1.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:2000])
    (tmp_path / "sound.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt " + bytes(2000))
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(1).bytes(1 << 16))
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refused = gone.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        names = "nowhere.mp4", "empty folder", "broken pictures", "empty.mp4", "cut.mp4"
        yield [
            *(str(tmp_path / name) for name in (*names, "sound.wav", "noise.mkv")),
            "/dev/video63",
            "/dev/null",
            f"http://127.0.0.1:{refused}/live",
            f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live",
        ]


def test_every_kind_ends_with_its_error_wherever_it_stands(
    good: Path, bad_sources: list[str]
) -> None:
    for number, bad in enumerate(bad_sources):
        sources = [str(good), bad] if number % 2 else [bad, str(good)]
        command = [sys.executable, "-m", "edgekit", "run", "--threads", "1"]
        command += ["--patience", "2"] if "://" in bad else []
        for source in sources:
            command += ["--source", source]
        command += ["--json"] if number % 3 == 2 else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        said = done.stderr + done.stdout
        assert done.returncode == 3, said
        assert bad in said
        assert "Traceback" not in said
        assert "Fatal" not in said


def test_an_interrupt_while_a_source_is_opened_ends_with_130(good: Path) -> None:
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
