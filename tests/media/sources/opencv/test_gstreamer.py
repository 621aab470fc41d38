"""Tests pipelines: their recognition, and real ones if a system's OpenCV exists."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import edgekit
from edgekit.errors import MissingDependencyError
from edgekit.media import open_source
from edgekit.media.sources.opencv.gstreamer import has_gstreamer, is_pipeline, pipeline_name

_PLAY = """
import itertools
from edgekit.errors import MediaError
from edgekit.media import open_source
from edgekit.media.sources.source import SourceOptions

options = SourceOptions(patience=20)
size = "video/x-raw,width=64,height=48,framerate=30/1"
with open_source(f"videotestsrc is-live=true pattern=white ! {size}", options) as source:
    frames = list(itertools.islice(source, 4))
    assert source.live and source.reopens
    assert (source.width, source.height, source.fps) == (64, 48, 30)
    with source.reopened() as again:
        assert again.read().index == 0
assert [frame.index for frame in frames] == [0, 1, 2, 3]
assert all(frame.image.shape == (48, 64, 3) and frame.image.min() > 250 for frame in frames)
try:
    open_source("videotestsrc num-buffers=0 ! videoconvert", options)
except MediaError as error:
    assert "gst-launch-1.0" in str(error)
    # As long as the error lives, the pipeline must not keep its camera.
    place = error.__traceback__
    while place is not None:
        capture = place.tb_frame.f_locals.get("capture")
        assert capture is None or not capture.isOpened()
        place = place.tb_next
    print("played")
"""


@pytest.mark.skipif(has_gstreamer(), reason="this OpenCV has GStreamer")
def test_an_opencv_without_gstreamer_says_which_has_it():
    with pytest.raises(MissingDependencyError) as caught:
        open_source("nvarguscamerasrc ! nvvidconv")
    assert "python3-opencv" in caught.value.hint
    assert "nvarguscamerasrc" in caught.value.hint


def test_a_pipeline_plays_through_the_opencv_of_the_system():
    environment = {**os.environ, "PYTHONPATH": str(Path(edgekit.__file__).parents[1])}
    python = "/usr/bin/python3"
    look = "import cv2, sys; sys.exit(not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))"
    try:
        found = subprocess.run([python, "-c", look], capture_output=True)
    except OSError:
        pytest.skip(f"there is no {python}")
    if found.returncode:
        pytest.skip("needs an OpenCV with GStreamer: sudo apt install python3-opencv")
    done = subprocess.run([python, "-c", _PLAY], capture_output=True, text=True, env=environment)
    assert done.stdout == "played\n", done.stderr


def test_what_is_a_pipeline():
    assert is_pipeline("v4l2src ! videoconvert")
    assert not is_pipeline("clip!.mp4")


def test_the_name_of_a_file_is_no_pipeline(tmp_path):
    path = tmp_path / "a ! b.mp4"
    assert is_pipeline(str(path))
    path.touch()
    assert not is_pipeline(str(path))
    assert not is_pipeline(f"file://{path}")


def test_a_file_with_a_mark_in_its_name_is_a_file(make_video):
    with open_source(make_video("wow ! such.mp4", frames=3)) as source:
        assert not source.live


def test_secrets_in_pipelines_are_left_out():
    shown = pipeline_name(
        'rtspsrc location="rtsp://user:hunter2@cam/1?token=hunter2" user-id=hunter2 '
        'user-pw="hun ter2" ! decodebin'
    )
    assert "hun" not in shown
    assert shown.startswith('rtspsrc location="rtsp://cam/1?..."')
    assert shown.endswith("! decodebin")


def test_a_very_long_pipeline_is_no_name_of_a_file():
    if has_gstreamer():
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(MissingDependencyError):
        open_source("videotestsrc ! " + "identity ! " * 1000 + "fakesink")
