"""Makes videos of every kind with the real ffmpeg."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from edgekit.media.sources import opening

PICTURE = "testsrc2=size=160x120:rate=25:duration=1"


@pytest.fixture
def ffmpeg(tmp_path, once):
    """Writes a file, whose name comes last, in the temporary folder: of a moving picture.

    What is made of other files is encoded each time, and all else once for all tests.
    """
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")

    def run(*options, picture=PICTURE):
        *before, name = options
        given = ["-f", "lavfi", "-i", picture] if picture else []
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *given, *map(str, before), name]

        def encode(folder):
            subprocess.run(command, cwd=folder, check=True, timeout=600)

        if "-i" in before:
            encode(tmp_path)
        else:
            asked = hashlib.sha256(repr(command).encode()).hexdigest()
            shutil.copyfile(once(f"ffmpeg-{asked}", encode) / name, tmp_path / name)
        return tmp_path / name

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
