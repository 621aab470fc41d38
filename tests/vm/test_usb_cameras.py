"""USB cameras: a camera by USB/IP on the kernel's own driver (uvcvideo)."""

from __future__ import annotations

import json
import statistics

import pytest

from tests.vm.conftest import Shows
from tests.vm.machine import Machine
from tests.vm.running import BASE, BackgroundRun, events_in, run_edgekit

BY_ID = "/dev/v4l/by-id/usb-EdgeKit_tests_EdgeCam_{}-video-index0"


@pytest.fixture
def usb(guest: Machine) -> Machine:
    """A guest with the driver, and no camera yet."""
    guest.run("modprobe -a vhci-hcd uvcvideo")
    return guest


def plug(guest: Machine, options: str = "", *, port: int = 0, serial: str = "0001") -> str:
    """Plugs a camera in and returns its path in /dev/v4l/by-id."""
    path = BY_ID.format(serial)
    program = "/opt/edgekit/bin/python /opt/programs/uvc_camera.py"
    guest.start(f"exec {program} --port {port} --serial {serial} {options}", seconds=3600)
    guest.run(
        f"for i in $(seq 300); do [ -e {path} ] && exit 0; sleep 0.2; done; dmesg|tail; exit 1"
    )
    return path


def obey(guest: Machine, word: str, *, port: int = 0) -> None:
    guest.run(f"echo {word} > /tmp/uvc.{port}.control")


def test_by_id_in_both_formats(usb: Machine, shows: Shows) -> None:
    path = plug(usb, "--pictures /opt/clip --sizes 320x240")
    for name in ("MJPG", "YUYV"):
        options = f"--camera {path} --camera-format {name} --camera-size 320x240 --max-frames 2"
        frames = events_in(run_edgekit(usb, f"{options} --events -").output, "frame")
        assert len(frames) == 2
        shows(f"A USB camera by its id, {name}.", f"{BASE} {options}", f"{len(frames)} frames")
    doctor = usb.run("edgekit doctor", status=None).output
    listed = doctor.partition("Cameras ")[2].partition("\nRuntime")[0]
    assert "/dev/video0 (EdgeCam)" in listed
    assert "MJPG, YUYV: 320x240" in listed
    shows("`doctor` lists it with its modes.", "edgekit doctor", listed)


def test_two_usb_cameras_by_id(usb: Machine, shows: Shows) -> None:
    paths = [plug(usb, "--sizes 320x240", port=port, serial=f"000{port}") for port in (0, 1)]
    options = " ".join(f"--camera {path}" for path in paths) + " --max-frames 2"
    events = events_in(run_edgekit(usb, f"{options} --events -").output, "frame")
    assert sorted(event["source_index"] for event in events) == [0, 0, 1, 1]
    shows(
        "Two USB cameras of one product by their ids.", f"{BASE} {options}", f"{len(events)} frames"
    )


@pytest.mark.parametrize(
    ("after", "also"),
    [("--sizes 320x240", ""), ("--formats YUYV --sizes 352x288", " with other formats")],
    ids=["another-number", "other-formats"],
)
def test_unplugged_and_back(usb: Machine, shows: Shows, after: str, also: str) -> None:
    path = plug(usb, "--sizes 320x240")
    before = usb.run(f"readlink -f {path}").output.strip()
    run = BackgroundRun(usb, f"--camera {path} --patience 10")
    run.wait_for('"type":"frame"', 2)
    obey(usb, "unplug")
    usb.run(f"for i in $(seq 100); do [ -e {path} ] || exit 0; sleep 0.2; done; exit 1")
    # Another camera takes the number meanwhile.
    usb.run("modprobe vivid n_devs=1 node_types=0x1 && udevadm settle")
    plug(usb, after)
    now = usb.run(f"readlink -f {path}").output.strip()
    assert now != before
    run.wait_for('"reason":"reconnect"', 1)
    frames = run.frames()
    run.wait_for('"type":"frame"', frames + 2)
    ended = run.stop()
    assert ended.status == 130
    reasons = [event["reason"] for event in run.events("gap")]
    assert reasons.count("reconnect") == 1
    shows(
        f"Unplugged, then back under another number{also}: found again by its id.",
        f"{BASE} --camera {path} --patience 10",
        f"{before} → {now}; {ended.output}",
    )


def test_a_frozen_usb_camera(usb: Machine, shows: Shows) -> None:
    path = plug(usb, "--pictures /opt/clip --sizes 320x240")
    run = BackgroundRun(usb, f"--camera {path} --patience 10")
    run.wait_for('"type":"frame"', 2)
    obey(usb, "freeze")
    usb.run("sleep 30")
    obey(usb, "thaw")
    run.wait_for('"reason":"reconnect"', 1)
    frames = run.frames()
    run.wait_for('"type":"frame"', frames + 2)
    assert run.stop().status == 130
    (gap,) = [event for event in run.events("gap") if event["reason"] == "reconnect"]
    shows("It freezes for thirty seconds.", f"{BASE} --camera {path} --patience 10", str(gap))


def test_cut_jpegs(usb: Machine, shows: Shows) -> None:
    path = plug(usb, "--clock --sizes 320x240 --formats MJPG --fps 4")
    command = f"/opt/edgekit/bin/python /opt/programs/count_cut.py {path}"
    found = json.loads(usb.run(command, seconds=1200).output.splitlines()[-1])
    assert found["gap"] == found["sent"]
    assert found["reason"] == "dropped"
    shows(
        "JPEGs without their end are left out and counted.",
        command,
        f"the camera cut {found['sent']} pictures; gap of {found['gap']}: {found['reason']}",
    )


def test_times_and_ages_are_those_of_the_camera(usb: Machine, shows: Shows) -> None:
    path = plug(usb, "--clock --sizes 320x240 --formats MJPG --fps 4")
    command = f"/opt/edgekit/bin/python /opt/programs/check_times.py {path}"
    found = json.loads(usb.run(command, seconds=1200).output.splitlines()[-1])
    assert len(found["taken"]) == len(found["time"]) == 20
    assert max(found["taken"]) < 50
    assert max(found["time"]) < 50
    shows(
        "The time of capture, from which `age` and `time` count, is when the camera sent the "
        "picture, by the clock of the guest that it drew into it.",
        command,
        f"20 frames: capture at most {max(found['taken']):.1f} ms outside of the sending, which "
        f"took {statistics.median(found['sending']):.0f} ms; error of time at most "
        f"{max(found['time']):.1f} ms",
    )
