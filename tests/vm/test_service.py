"""systemd: the unit of docs/service.md, on a booted Debian."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.vm.cache import RUN
from tests.vm.conftest import Shows, resumed
from tests.vm.disk import base, overlay
from tests.vm.kernel import boot
from tests.vm.machine import Machine
from tests.vm.running import events_in
from tests.vm.service import CAMERA, DATA, EVENTS, UNIT, Service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A guest with the service, its data on a small disk of its own, and no camera at first."""
    folder = RUN / "service"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        guest = resumed("amd64", folder, stack)
        guest.run(
            "truncate -s 24M /data.img && mke2fs -q -m 0 -F /data.img && modprobe loop && "
            "mkdir -p /var/lib/edgekit && mount -o loop /data.img /var/lib/edgekit && "
            "chown edgekit:edgekit /var/lib/edgekit"
        )
        installed = Service(guest)
        installed.install()
        yield installed
    shutil.rmtree(folder, ignore_errors=True)


def lines(service: Service) -> list[dict[str, object]]:
    """The events; each line must be whole."""
    text = service.guest.get(EVENTS)
    assert b"\0" not in text
    return [json.loads(line) for line in text.splitlines()[: text.count(b"\n")]]


def test_a_driver_that_is_loaded_later(guest: Machine, shows: Shows) -> None:
    """The rights of a service are set when it starts, from the drivers that are there."""
    guest.run("! grep video4linux /proc/devices")
    stream = "exec /opt/edgekit/bin/python /opt/programs/mjpeg_stream.py 8081 8"
    guest.start(stream, seconds=3600)
    service = Service(guest, {"source": "http://127.0.0.1:8081/", "patience": 20.0})
    service.install()
    guest.run(f"systemctl start --no-block {UNIT}")
    service.wait_until_active()
    process = service.show("MainPID")
    guest.run(CAMERA)
    service.wait_until(f'grep -q \'"type":"frame"\' {DATA}/events-1.jsonl')
    assert service.show("MainPID") == process
    shows(
        "A service with two sources opens its camera when the driver is loaded after the start.",
        f"systemctl start {UNIT}; modprobe vivid",
        f"StatusText={service.show('StatusText')}",
    )


def test_it_waits_for_the_camera(service: Service, shows: Shows) -> None:
    service.guest.run(f"systemctl start --no-block {UNIT}")
    service.wait_until(f"[ $(systemctl show --value -p NRestarts {UNIT}) -ge 1 ]")
    assert "there is no /dev/video0" in service.journal()
    service.guest.run(CAMERA)
    service.wait_until_active()
    shows(
        "Without the camera the service starts again until the camera is there.",
        f"systemctl start {UNIT}; modprobe vivid",
        f"NRestarts={service.show('NRestarts')} ActiveState={service.show('ActiveState')} "
        f"StatusText={service.show('StatusText')}",
    )


def test_the_journal(service: Service, shows: Shows) -> None:
    service.start()
    text = service.journal()
    assert "\x1b" not in text
    first = next(line for line in text.splitlines() if "there is no" in line)
    shows("The journal has the messages, as plain text.", f"journalctl -u {UNIT}", first)


def test_a_reload(service: Service, shows: Shows) -> None:
    service.start()
    process = service.show("MainPID")
    service.write_options(**{**service.options, "score": 0.65})
    service.guest.run(f"systemctl reload {UNIT}")
    service.wait_until(f"journalctl -q -o cat -u {UNIT} | grep -q 0.65")
    service.write_options(**{**service.options, "score": "much"})
    service.guest.run(f"systemctl reload {UNIT}")
    service.wait_until(f"journalctl -q -o cat -u {UNIT} | grep -q much")
    service.write_options(**service.options)
    service.wait_for_frames(2)
    service.wait_until_active()
    assert service.show("MainPID") == process
    told = [line for line in service.journal().splitlines() if "0.65" in line or "much" in line]
    shows(
        "SIGHUP reads the thresholds again, and a mistake changes nothing.",
        f"systemctl reload {UNIT}",
        " / ".join(told),
    )


def test_logrotate(service: Service, shows: Shows) -> None:
    service.start()
    service.wait_for_frames(2)
    rules = f"{EVENTS} {{\n su edgekit edgekit\n rotate 3\n nocompress\n nocreate\n}}\n"
    service.guest.put("/etc/rotate.conf", rules.encode())
    service.guest.run("logrotate -f /etc/rotate.conf")
    service.wait_until(f"[ $(grep -c frame {EVENTS} || true) -ge 3 ]")
    old = events_in(service.guest.run(f"cat {EVENTS}.1").output)
    new = lines(service)
    assert new[0]["type"] == "start"
    last = next(event for event in reversed(old) if event["type"] == "frame")
    first = next(event for event in new if event["type"] == "frame")
    between = [*old[old.index(last) + 1 :], *new[: new.index(first)]]
    gaps = sum(event["frames"] for event in between if event["type"] == "gap")
    assert first["index"] == last["index"] + 1 + gaps
    shows(
        "logrotate renames the events, and the run begins a new file without losing a line.",
        "logrotate -f",
        f"old file ends with frame {last['index']}; new file begins with frame {first['index']} "
        f"and, before it, a gap of {gaps}",
    )


def test_a_full_disk(service: Service, shows: Shows) -> None:
    service.start()
    service.guest.run(
        "cd /var/lib/edgekit; dd if=/dev/zero of=filler bs=64k; dd if=/dev/zero of=rest bs=1k; sync"
    )
    service.wait_until(f"journalctl -q -o cat -u {UNIT} | grep -q 'No space left'")
    health = service.health()
    assert "events" in health
    process = service.show("MainPID")
    service.guest.run("rm /var/lib/edgekit/filler /var/lib/edgekit/rest")
    service.wait_until(f'tail -c 20000 {EVENTS} | grep -q \'"type":"lost"\'')
    service.wait_for_frames(2)
    assert service.show("MainPID") == process
    found = lines(service)
    (lost,) = [event for event in found if event["type"] == "lost"]
    told = next(line for line in service.journal().splitlines() if "No space left" in line)
    shows(
        "The disk is full for a while: the run goes on, says so, and counts what was lost.",
        "dd if=/dev/zero of=/var/lib/edgekit/filler; …; rm /var/lib/edgekit/filler",
        f"{told} / {lost} / {len(found)} lines, all whole",
    )


@pytest.mark.parametrize("hours", [5, -3])
def test_the_clock_jumps(service: Service, shows: Shows, hours: int) -> None:
    service.start()
    service.wait_for_frames(2)
    restarts, process = service.show("NRestarts"), service.show("MainPID")
    before = [event for event in lines(service) if event["type"] == "frame"][-1]
    service.guest.run(f"date -s '{hours:+d} hours'")
    service.wait_for_frames(5)
    service.wait_until_active()
    assert (service.show("NRestarts"), service.show("MainPID")) == (restarts, process)
    frames = [event for event in lines(service) if event["type"] == "frame"]
    after = frames[frames.index(before) :]
    steps = [b["time"] - a["time"] for a, b in pairwise(after)]
    assert all(0 < step < 60 for step in steps)
    assert all(0 <= event["age"] < 60e3 for event in after)
    service.guest.run(f"date -s @{time.time():.0f}")
    shows(
        f"The clock jumps by {hours:+d} hours: times and ages of frames do not.",
        f"date -s '{hours:+d} hours'",
        f"steps between frames {min(steps):.2f} to {max(steps):.2f} s, ages "
        f"{min(e['age'] for e in after):.0f} to {max(e['age'] for e in after):.0f} ms",
    )


def test_a_killed_run_is_started_again(service: Service, shows: Shows) -> None:
    service.start()
    service.wait_for_frames(2)
    restarts, process = int(service.show("NRestarts")), service.show("MainPID")
    service.guest.run(f"kill -9 {process}")
    service.wait_until(f"[ $(systemctl show --value -p NRestarts {UNIT}) -gt {restarts} ]")
    service.wait_until_active()
    service.wait_for_frames(1)
    starts = [event for event in lines(service) if event["type"] == "start"]
    shows(
        "A run that was killed is started again, and continues the events.",
        f"kill -9 $(systemctl show --value -p MainPID {UNIT})",
        f"NRestarts={service.show('NRestarts')}, {len(starts)} start events in one file",
    )


def test_the_watchdog(service: Service, shows: Shows) -> None:
    service.start()
    service.wait_for_frames(2)
    restarts, process = int(service.show("NRestarts")), service.show("MainPID")
    service.guest.run(f"kill -STOP {process}")
    service.wait_until(f"[ $(systemctl show --value -p NRestarts {UNIT}) -gt {restarts} ]")
    service.wait_until_active()
    text = service.guest.run(f"journalctl -q -o cat -u {UNIT}").output
    told = next(line for line in text.splitlines() if "atchdog" in line)
    shows(
        "A run that hangs is ended by the watchdog and started again.",
        f"kill -STOP $(systemctl show --value -p MainPID {UNIT})",
        told,
    )


def test_a_stop(service: Service, shows: Shows) -> None:
    service.start()
    service.wait_for_frames(1)
    service.guest.run(f"systemctl stop {UNIT}")
    # systemd forgets the statuses of an instance that has ended well.
    assert f"{UNIT}.service: Deactivated successfully." in service.journal()
    assert lines(service)[-1]["type"] == "end"
    shows(
        "`systemctl stop` ends the run in order.",
        f"systemctl stop {UNIT}",
        f"Deactivated successfully; last event {lines(service)[-1]['type']}",
    )


def test_a_boot_with_a_clock_of_1970(place: Path, shows: Shows) -> None:
    disk = overlay(base("amd64"), place / "disk.qcow2")
    with Machine(boot("amd64"), disk, place) as guest:
        guest.wait_for_boot()
        Service(guest).install()
        guest.run(f"systemctl enable {UNIT}")
        guest.put("/etc/modules-load.d/vivid.conf", b"vivid\n")
        guest.put("/etc/modprobe.d/vivid.conf", b"options vivid n_devs=1 node_types=0x1\n")
        guest.run("systemctl enable systemd-networkd-wait-online; sync")
        guest.shut_down()
    with Machine(boot("amd64"), disk, place, more=("-rtc", "base=1970-01-01T00:01:00")) as guest:
        guest.wait_for_boot()
        service = Service(guest)
        service.wait_until_active()
        # systemd advances the clock to the day on which it was built.
        began = guest.run("journalctl -q -b -o short-iso -n 1 | cut -c1-19; date +%s").output
        shown, seconds = began.split()
        assert time.time() - int(seconds) > 30 * 86400, shown
        network = int(
            guest.run(
                "systemctl show --value -p ActiveEnterTimestampMonotonic network-online.target"
            ).output
        )
        begun = int(service.show("ExecMainStartTimestampMonotonic"))
        assert 0 < network < begun
        service.wait_for_frames(2)
        guest.run(f"date -s @{time.time():.0f}")
        service.wait_for_frames(3)
        frames = [event for event in lines(service) if event["type"] == "frame"]
        steps = [b["time"] - a["time"] for a, b in pairwise(frames)]
        assert all(0 < step < 60 for step in steps)
        assert service.show("NRestarts") == "0"
        shows(
            "After a boot the service starts when the network is up.",
            "systemctl show -p ActiveEnterTimestampMonotonic network-online.target",
            f"network-online.target at {network / 1e6:.1f} s, the run at {begun / 1e6:.1f} s",
        )
        shows(
            "A board whose clock starts in 1970 gets the time while the service runs. systemd "
            "first sets the day on which it was built.",
            f"date -s @{time.time():.0f}",
            f"{shown} at first; NRestarts=0, steps between frames {min(steps):.2f} to "
            f"{max(steps):.2f} s",
        )
