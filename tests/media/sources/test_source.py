"""Tests that several threads may read one source."""

from __future__ import annotations

import threading

import pytest

from edgekit import open_source

THREADS = 4
FRAMES = 60


def frames_of(source):
    """Index and brightness of every frame, in order; the brightness tells frames apart."""
    return [(frame.index, round(float(frame.image[-8:].mean()))) for frame in source]


def read_by_threads(source):
    read, failures = [], []
    ready = threading.Barrier(THREADS)

    def take():
        ready.wait()
        try:
            read.extend(frames_of(source))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=take) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    return sorted(read)


@pytest.fixture(params=["video", "video without PyAV", "folder", "pages"])
def place(request, make_video, make_folder, tmp_path):
    if request.param == "folder":
        return make_folder([f"{number:02}.png" for number in range(26)])
    if request.param == "pages":
        pictures = pytest.importorskip("PIL.Image")
        pages = [pictures.new("RGB", (64, 48), (9 * n, 9 * n, 9 * n)) for n in range(26)]
        path = tmp_path / "pages.tiff"
        pages[0].save(path, save_all=True, append_images=pages[1:])
        return path
    if request.param == "video without PyAV":
        request.getfixturevalue("without_av")
    return make_video(frames=FRAMES)


def test_each_frame_goes_to_one_of_several_threads(place):
    with open_source(place) as source:
        alone = frames_of(source)
    assert len(alone) >= 26
    with open_source(place) as source:
        assert read_by_threads(source) == alone
