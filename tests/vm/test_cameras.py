"""Cameras: the kernel's test driver (vivid)."""

from __future__ import annotations

import json

import pytest

from tests.vm.conftest import Shows
from tests.vm.machine import Machine
from tests.vm.running import BASE, BackgroundRun, events_in, run_edgekit

CAMERA, RADIO, METADATA = 0x1, 0x10, 0x20000
GREY = ("GREY", "Y10", "Y12", "Y16")


@pytest.fixture
def cameras(guest: Machine) -> Machine:
    """A guest with two of the kernel's test cameras, /dev/video0 and /dev/video1."""
    load(guest, CAMERA, CAMERA)
    return guest


def load(guest: Machine, *kinds: int) -> None:
    words = f"n_devs={len(kinds)} node_types={','.join(map(hex, kinds))}"
    guest.run(f"modprobe vivid {words} && udevadm settle")


def told(output: str) -> str:
    """The lines of an output that are no events."""
    return " ".join(line for line in output.splitlines() if not line.startswith("{"))


@pytest.mark.parametrize("camera", ["1", "/dev/video1"])
def test_a_camera_by_number_and_path(cameras: Machine, shows: Shows, camera: str) -> None:
    options = f"--camera {camera} --max-frames 2 --events -"
    events = events_in(run_edgekit(cameras, options).output)
    frames = [event for event in events if event["type"] == "frame"]
    assert len(frames) == 2
    start = events[0]
    shows(
        f"A camera is opened as `{camera}`.",
        f"{BASE} {options}",
        f"source {start['source']}: {len(frames)} frames, times {[f['time'] for f in frames]}",
    )


def test_two_cameras_in_one_run(cameras: Machine, shows: Shows) -> None:
    options = "--camera 0 --camera 1 --max-frames 2 --events -"
    events = events_in(run_edgekit(cameras, options).output, "frame")
    assert sorted(event["source_index"] for event in events) == [0, 0, 1, 1]
    shows(
        "Two cameras run at the same time.",
        f"{BASE} {options}",
        f"{len(events)} frame events of sources {sorted({e['source_index'] for e in events})}",
    )


def test_every_format(cameras: Machine, shows: Shows) -> None:
    command = "/opt/edgekit/bin/python /opt/programs/read_formats.py"
    found = json.loads(cameras.run(command).output.splitlines()[-1])
    assert len(found) >= 15
    reference = found.pop("RGB3")
    for name, (shape, mean) in found.items():
        assert shape == [360, 640, 3], name
        channels = [sum(mean) / 3] * 3 if name in GREY else mean
        limit = 12 if name in GREY else 6
        wanted = [sum(reference[1]) / 3] * 3 if name in GREY else reference[1]
        assert all(abs(a - b) <= limit for a, b in zip(channels, wanted, strict=True)), name
    shows(
        "Each format of the driver that EdgeKit reads gives the same picture.",
        command,
        f"{len(found) + 1} formats: {' '.join(sorted([*found, 'RGB3']))}",
    )


def test_a_mode_is_requested(cameras: Machine, shows: Shows) -> None:
    options = "--camera 0 --camera-size 1280x720 --camera-format NV12 --camera-fps 10 --check"
    found = told(run_edgekit(cameras, options).output)
    assert "1280x720 at 10 FPS" in found
    shows("Size, format and rate are requested.", f"{BASE} {options}", found)


def test_a_mode_that_the_camera_lacks(cameras: Machine, shows: Shows) -> None:
    options = "--camera 0 --camera-size 1234x77 --camera-format NV12"
    run = run_edgekit(cameras, options, status=None)
    assert run.status == 3
    assert "1280x720" in run.output
    shows("The error for a mode lists the modes.", f"{BASE} {options}", told(run.output))


def test_a_camera_that_is_not_permitted(cameras: Machine, shows: Shows) -> None:
    command = f"{BASE} --camera 0"
    run = cameras.run(f"cd /; runuser -u edgekit -- {command}", status=None)
    assert run.status == 3
    assert "may not be opened by this user" in run.output
    assert "video" in run.output
    shows("A user outside the group `video` is told what to do.", command, told(run.output))


def test_a_camera_in_use(cameras: Machine, shows: Shows) -> None:
    cameras.start("exec v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=0", seconds=600)
    cameras.run("for i in $(seq 100); do fuser -s /dev/video0 && exit 0; sleep 0.2; done; exit 1")
    cameras.run("sleep 2")
    run = run_edgekit(cameras, "--camera 0", status=3)
    assert "v4l2-ctl" in run.output
    shows("The program that uses a camera is named.", f"{BASE} --camera 0", told(run.output))


def test_a_camera_that_is_frozen_from_the_start(cameras: Machine, shows: Shows) -> None:
    cameras.run("v4l2-ctl -d /dev/video0 -c percentage_of_dropped_buffers=100")
    options = "--camera 0 --patience 4"
    run = run_edgekit(cameras, options, status=3)
    assert "4 seconds" in run.output
    shows("A camera that gives no picture ends the start.", f"{BASE} {options}", told(run.output))


@pytest.mark.parametrize(
    ("fault", "repair"),
    [
        (
            "v4l2-ctl -d /dev/video0 -c percentage_of_dropped_buffers=100",
            "v4l2-ctl -d /dev/video0 -c percentage_of_dropped_buffers=0",
        ),
        ("v4l2-ctl -d /dev/video0 -c inject_fatal_streaming_error=1", "true"),
        (
            "echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind",
            "echo vivid.0 > /sys/bus/platform/drivers/vivid/bind",
        ),
    ],
    ids=["frozen", "failed", "unplugged"],
)
def test_a_run_outlives_a_fault(cameras: Machine, shows: Shows, fault: str, repair: str) -> None:
    run = BackgroundRun(cameras, "--camera 0 --patience 10")
    run.wait_for('"type":"frame"', 2)
    cameras.run(fault)
    cameras.run("sleep 20")
    cameras.run(repair)
    run.wait_for('"reason":"reconnect"', 1)
    frames = run.frames()
    run.wait_for('"type":"frame"', frames + 2)
    ended = run.stop()
    assert ended.status == 130
    (gap,) = [event for event in run.events("gap") if event["reason"] == "reconnect"]
    shows(
        "The camera is lost and comes back, and the run goes on.",
        f"{fault}; sleep 20; {repair}",
        f"{' '.join(line for line in ended.output.splitlines() if 'amera 0' in line)} {gap}",
    )


def test_nodes_that_are_no_cameras(guest: Machine, shows: Shows) -> None:
    load(guest, CAMERA | RADIO | METADATA)
    nodes = guest.run("v4l2-ctl --list-devices | tr -d '\\t'").output
    doctor = guest.run("edgekit doctor", status=None).output
    listed = [line.strip() for line in doctor.splitlines() if "/dev/video" in line]
    assert len(listed) == 1
    assert "/dev/video0" in listed[0]
    shows("`doctor` lists the camera alone.", "v4l2-ctl --list-devices; edgekit doctor", listed[0])
    for node in ("/dev/radio0", "/dev/video1"):
        assert node in nodes
        run = run_edgekit(guest, f"--camera {node}", status=3)
        assert "is not a camera" in run.output
        shows("Radio and metadata nodes are refused.", f"{BASE} --camera {node}", told(run.output))


def test_v4l2loopback(guest: Machine, shows: Shows) -> None:
    guest.run("modprobe v4l2loopback video_nr=5 exclusive_caps=1 && udevadm settle")
    refused = run_edgekit(guest, "--camera 5", status=3)
    writer = "/opt/edgekit/bin/python /opt/programs/loopback_writer.py /dev/video5 320 240 10"
    guest.start(f"exec {writer}", seconds=3600)
    guest.run("for i in $(seq 100); do fuser -s /dev/video5 && exit 0; sleep 0.2; done; exit 1")
    options = "--camera 5 --max-frames 3 --events -"
    events = events_in(run_edgekit(guest, options).output, "frame")
    assert len(events) == 3
    shows(
        "v4l2loopback without a writer is no camera, and one with a writer is.",
        f"{BASE} {options}",
        f"{told(refused.output)} / {len(events)} frames",
    )
