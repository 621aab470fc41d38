"""Makes videos of every kind with the real ffmpeg."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from edgekit.media.sources import opening

PICTURE = "testsrc2=size=160x120:rate=25:duration=1"


@pytest.fixture
def ffmpeg(tmp_path):
    """Writes a file, whose name comes last, in the temporary folder: of a moving picture."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")

    def run(*options, picture=PICTURE):
        given = ["-f", "lavfi", "-i", picture] if picture else []
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *given, *map(str, options[:-1])]
        subprocess.run([*command, options[-1]], cwd=tmp_path, check=True, timeout=600)
        return tmp_path / options[-1]

    return run


@pytest.fixture(params=["pyav", "opencv"])
def reader(request, monkeypatch):
    """Has files and streams read by PyAV or by OpenCV."""
    if request.param == "pyav":
        pytest.importorskip("av")
    monkeypatch.setattr(opening, "_has_pyav", lambda: request.param == "pyav")
    return request.param


@pytest.fixture
def pyav(monkeypatch):
    """Has files and streams read by PyAV."""
    pytest.importorskip("av")
    monkeypatch.setattr(opening, "_has_pyav", lambda: True)
