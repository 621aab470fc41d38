"""Tests a program that ends while a source is still opened in a thread."""

from __future__ import annotations

import subprocess
import sys

_RAISING = """
import atexit, sys, threading
atexit.register(lambda: print("inside:", len(leaving._inside)))
from edgekit.errors import MediaError
from edgekit.media.sources import open_sources
from edgekit.system import leaving

leaving._LONGEST = 100.0
try:
    open_sources(sys.argv[1:])
except MediaError as error:
    print(error.message)
"""


def test_a_program_may_end_while_a_source_is_still_opened(make_video, tmp_path):
    long = make_video(frames=200, size=(640, 480))
    missing = tmp_path / "nowhere.mp4"
    for _ in range(5):
        command = [sys.executable, "-c", _RAISING, str(long), str(missing), str(long)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"There is no file or folder {missing}.\ninside: 0\n"
