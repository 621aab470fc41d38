"""Tests ``edgekit run`` on frames from a pipe, in another process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import cv2
import pytest

from tests.waiting import wait_until


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


@pytest.mark.parametrize("layout", ["bgr24", "yuv420p"])
def test_frames_of_one_pixel_are_frames(run, layout):
    arguments = ("--source", "-", "--raw-size", "1x1", "--raw-format", layout)
    status, events, _ = run(*arguments, data=bytes(9))
    assert status == 0
    assert [event["type"] for event in events] == ["start", *["frame"] * 3, "end"]


def test_frames_without_a_size_are_wrong_usage(run):
    status, events, stderr = run("--source", "-", data=bytes(10_000))
    assert (status, events) == (2, [])
    assert "--raw-size" in stderr
    assert stderr.count("Error:") == 1


def test_an_empty_pipe_is_bad_input(run):
    status, events, stderr = run("--source", "-", "--raw-size", "4x4", data=b"")
    assert (status, events) == (3, [])
    assert "before the first whole frame" in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_pipe_without_an_end_is_left_at_a_signal(spot_bundle, tmp_path, number):
    events = tmp_path / "e.jsonl"
    command = [sys.executable, "-m", "edgekit", "run", "--bundle", str(spot_bundle)]
    command += ["--source", "-", "--raw-size", "96x96", "--events", str(events)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        process.stdin.write(bytes(3 * 96 * 96 * 3))
        process.stdin.flush()
        wait_until(lambda: events.exists() and events.read_text().count("\n") >= 4, process)
        process.send_signal(number)
        assert process.wait(120) == 130  # while nobody has closed the pipe
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert [line["type"] for line in lines] == ["start", "frame", "frame", "frame", "end"]
