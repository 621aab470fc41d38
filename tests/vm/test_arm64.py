"""arm64: a kernel on a Cortex-A76."""

from __future__ import annotations

import re
from pathlib import Path

from tests.vm.conftest import Shows
from tests.vm.machine import Machine
from tests.vm.running import BASE, events_in, run_edgekit
from tests.vm.service import CAMERA, UNIT, Service
from tests.vm.test_usb_cameras import plug

TESTS = Path(__file__).resolve().parents[1]


def test_doctor(arm_guest: Machine, shows: Shows) -> None:
    text = arm_guest.run("edgekit doctor", status=None, seconds=600).output
    assert "aarch64" in text
    assert "neon" in text
    told = [line for line in text.splitlines() if line.startswith(("CPU", "Cascade"))]
    shows("`doctor` on arm64.", "edgekit doctor", " / ".join(told))


def test_the_wheel_is_built_there_and_equals_numpy(arm_guest: Machine, shows: Shows) -> None:
    build = (
        "/opt/edgekit/bin/pip wheel -q --no-deps --no-build-isolation -w /tmp/built "
        "/opt/wheels/sources"
    )
    arm_guest.run(build, seconds=1200)
    install = "/opt/edgekit/bin/pip install -q --no-deps --target /opt/built /tmp/built/*.whl"
    arm_guest.run(install, seconds=1200)
    arm_guest.put("/opt/tests/test_native.py", (TESTS / "runtime/test_native.py").read_bytes())
    command = (
        "cd /opt/tests; PYTHONPATH=/opt/built /opt/edgekit/bin/python -m pytest -q "
        "-p no:cacheprovider test_native.py -k 'equals_numpy or stays_exact or do_not_meet'"
    )
    output = arm_guest.run(command, seconds=2400).output
    passed = re.search(r"(\d+) passed", output)
    assert passed is not None
    assert int(passed[1]) >= 3
    used = arm_guest.run(
        "PYTHONPATH=/opt/built /opt/edgekit/bin/python -c 'import edgekit.runtime.native as n; "
        "print(n.__file__, n.setting().kernel)'"
    ).output
    assert "/opt/built" in used
    assert "neon" in used
    shows(
        "The wheel is built in the guest, and its NEON kernels equal numpy's to the last bit.",
        f"{build}; pytest test_native.py",
        f"{used} {output.splitlines()[-1]}",
    )


def test_cameras(arm_guest: Machine, shows: Shows) -> None:
    arm_guest.run(f"{CAMERA} && modprobe -a vhci-hcd uvcvideo")
    path = plug(arm_guest, "--pictures /opt/clip --sizes 320x240 --fps 5")
    for camera in ("0", path):
        options = f"--camera {camera} --max-frames 3 --events -"
        events = events_in(run_edgekit(arm_guest, options).output, "frame")
        assert len(events) == 3
        shows(
            f"A camera on arm64: `{camera}`.",
            f"{BASE} {options}",
            f"{len(events)} frames, ages {[round(event['age']) for event in events]} ms",
        )


def test_the_service(arm_guest: Machine, shows: Shows) -> None:
    service = Service(arm_guest)
    service.install()
    service.start()
    service.wait_for_frames(2)
    status = service.show("StatusText")
    arm_guest.run(f"systemctl stop {UNIT}")
    assert f"{UNIT}.service: Deactivated successfully." in service.journal()
    shows(
        "The service on arm64 starts, processes frames and stops.",
        f"systemctl start {UNIT}; systemctl stop {UNIT}",
        f"StatusText={status}; Deactivated successfully",
    )
