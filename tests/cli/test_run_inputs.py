"""``edgekit run`` on frames from a pipe, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import pytest


@pytest.fixture
def run(spot_bundle, tmp_path):
    """Runs the command with bytes on standard input; status, events and standard error."""

    def call(*arguments, data=None):
        events = tmp_path / "e.jsonl"
        command = [sys.executable, "-m", "edgekit", "run", "--bundle", str(spot_bundle)]
        command += [*map(str, arguments), "--events", str(events)]
        done = subprocess.run(command, input=data, capture_output=True)
        lines = events.read_text().splitlines() if events.exists() else []
        return done.returncode, [json.loads(line) for line in lines], done.stderr.decode()

    return call


def test_frames_from_a_pipe_are_found_as_those_of_the_file(run, spot_video):
    path = spot_video(12)
    capture = cv2.VideoCapture(str(path))
    images = []
    while (read := capture.read())[0]:
        images.append(read[1])
    size = f"{images[0].shape[1]}x{images[0].shape[0]}"
    data = b"".join(image.tobytes() for image in images) + bytes(100)
    status, piped, stderr = run("--source", "-", "--raw-size", size, data=data)
    assert status == 0
    assert "100 of its" in stderr
    status, played, _ = run("--source", path)
    assert status == 0
    assert piped[0]["source"] == "standard input"
    kept = ("type", "index", "detections", "tubes", "frames", "boxes")
    told = [[{key: event.get(key) for key in kept} for event in run] for run in (piped, played)]
    assert len(told[0]) == 15
    assert told[0] == told[1]


def test_frames_without_a_size_are_wrong_usage(run):
    status, events, stderr = run("--source", "-", data=bytes(10_000))
    assert (status, events) == (2, [])
    assert "--raw-size" in stderr
    assert stderr.count("Error:") == 1


def test_an_empty_pipe_is_bad_input(run):
    status, events, stderr = run("--source", "-", "--raw-size", "4x4", data=b"")
    assert (status, events) == (3, [])
    assert "before the first whole frame" in stderr
