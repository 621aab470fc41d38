"""Makes small real media files."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest


def write_video(path: Path, frames: int, *, size=(64, 48), fps=25.0, codec="mp4v") -> Path:
    """A video whose frame n is filled with brightness 4 n, noise in a corner."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    assert writer.isOpened()
    noise = np.random.default_rng(1)
    for number in range(frames):
        image = np.full((size[1], size[0], 3), min(4 * number, 250), np.uint8)
        image[:16, :16] = noise.integers(0, 255, (16, 16, 3))
        writer.write(image)
    writer.release()
    return path


@pytest.fixture
def make_video(tmp_path):
    def make(name="clip.mp4", frames=20, **options) -> Path:
        return write_video(tmp_path / name, frames, **options)

    return make


@pytest.fixture
def make_folder(tmp_path):
    def make(names, size=(48, 64)) -> Path:
        folder = tmp_path / "frames"
        folder.mkdir(exist_ok=True)
        for number, name in enumerate(names):
            cv2.imwrite(str(folder / name), np.full((*size, 3), 10 * number, np.uint8))
        return folder

    return make


@pytest.fixture
def served(tmp_path):
    """The address of a web server of the temporary folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["av", "cv2"])
def encoders(request):
    """With the encoders of PyAV, then with those of OpenCV alone."""
    if request.param == "cv2":
        request.getfixturevalue("without_av")
    else:
        pytest.importorskip("av")
    return request.param
