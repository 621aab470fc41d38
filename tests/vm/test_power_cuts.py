"""Power cuts: QEMU is killed while the service writes."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.vm.after_cut import Found, examine
from tests.vm.cache import command
from tests.vm.conftest import Shows
from tests.vm.disk import base, overlay
from tests.vm.kernel import boot
from tests.vm.machine import Boot, Machine
from tests.vm.running import put_programs
from tests.vm.service import DATA, EVENTS, UNIT, Service

CUTS = int(os.environ.get("EDGEKIT_VM_CUTS", "20"))
"""On x86-64; there are a fifth as many on arm64, which QEMU emulates more slowly."""

WORK_IN_A_SECOND = 0.8
"""CPU seconds that a guest takes in a second of a run if nothing else keeps this machine busy."""

CAMERA_UNIT = """[Service]
ExecStartPre=/sbin/modprobe -a vhci-hcd uvcvideo
ExecStart=/opt/edgekit/bin/python /opt/programs/uvc_camera.py --formats MJPG --sizes 320x240 \\
    --pictures /opt/clip --fps 10
[Install]
WantedBy=multi-user.target
"""
# The check before the start doubles the time of each boot, and writes nothing. On a busy machine
# TCG is too slow for the watchdog.
DROP_IN = f"""[Unit]
RequiresMountsFor={DATA}
[Service]
ExecStartPre=
RestartSec=1
WatchdogSec=10min
"""


class Broker:
    """An MQTT broker on this machine, and a file of everything that it passes on.

    Args:
        folder: Folder for both.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = folder / "broker.conf"
        settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._heard = folder / "heard.txt"
        self._broker = subprocess.Popen(["mosquitto", "-c", settings], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        words = ["mosquitto_sub", "-p", str(self.port), "-q", "1", "-t", "edge/tube/#"]
        with self._heard.open("w") as file:
            self._listener = subprocess.Popen([*words, "-F", "%t %p"], stdout=file)

    def heard(self) -> list[dict[str, object]]:
        """All messages, in the order of their arrival, with the kind under ``kind``."""
        found = []
        for line in self._heard.read_text().splitlines():
            topic, _, payload = line.partition(" ")
            found.append({"kind": topic.rpartition("/")[2], **json.loads(payload)})
        return found

    def close(self) -> None:
        for process in (self._listener, self._broker):
            process.kill()
            process.wait()


@pytest.fixture
def broker(place: Path) -> Iterator[Broker]:
    opened = Broker(place)
    yield opened
    opened.close()


def prepare(booted: Boot, disk: Path, data: Path, port: int, place: Path) -> None:
    """Installs the service so that it starts with each boot, with a file system of its own."""
    command("truncate", "-s", "256M", data)
    command("mke2fs", "-q", "-t", "ext4", "-L", "data", data)
    with Machine(booted, disk, place, drives=(data,)) as guest:
        guest.wait_for_boot()
        put_programs(guest)
        options = {
            "camera": "/dev/v4l/by-id/usb-EdgeKit_tests_EdgeCam_0001-video-index0",
            **{"score": 0.1, "min-hits": 1, "clip-before": 1.0, "clip-after": 1.0},
            **{"video": f"{DATA}/video.mkv", "clips": f"{DATA}/clips", "clips-keep": "100MB"},
            **{"mqtt": f"mqtt://10.0.2.2:{port}/edge", "mqtt-buffer": f"{DATA}/mqtt.db"},
        }
        service = Service(guest, options)
        del service.options["serve"]
        service.install()
        guest.put("/etc/systemd/system/camera.service", CAMERA_UNIT.encode())
        guest.put("/etc/systemd/system/edgekit@.service.d/test.conf", DROP_IN.encode())
        guest.run(
            f"echo 'LABEL=data {DATA} ext4 defaults 0 2' >> /etc/fstab && mkdir -p {DATA} && "
            f"mount {DATA} && chown edgekit:edgekit {DATA} && systemctl enable camera {UNIT}"
        )
        guest.shut_down()


def cut_once(
    booted: Boot, disk: Path, data: Path, place: Path, *, network: bool
) -> tuple[int, float, float]:
    """Boots, lets the service write for a while, and cuts the power.

    Returns:
        The number of events a second before the cut, or longer where the machine is busy; the
        seconds from then to the cut; and the time of the newest frame at that moment.
    """
    with Machine(booted, disk, place, drives=(data,), network=network) as guest:
        guest.wait_for_boot()
        service = Service(guest)
        service.wait_until_active()
        service.wait_for_frames(random.randint(2, 6))
        time.sleep(random.uniform(0, 2))
        last = f'grep \'"type":"frame"\' {EVENTS} | tail -n 1'
        number, newest = guest.run(f"wc -l < {EVENTS}; {last}").output.splitlines()
        begin, work = time.monotonic(), guest.cpu_seconds()
        # What the guest does in a second takes longer where this machine has other work.
        while time.monotonic() - begin < 1 or guest.cpu_seconds() - work < WORK_IN_A_SECOND:
            time.sleep(0.05)
        guest.cut_power()
        return int(number), time.monotonic() - begin, json.loads(newest)["time"]


def runs_of(found: Found) -> list[tuple[float, list[int], list[int]]]:
    """For each run: the time of its start, the places of its tubes in the file, and their ids."""
    runs: list[tuple[float, list[int], list[int]]] = []
    for number, event in enumerate(found.lines):
        if event["type"] == "start":
            runs.append((datetime.fromisoformat(str(event["time"])).timestamp(), [], []))
        elif event["type"] == "tube":
            runs[-1][1].append(number)
            runs[-1][2].append(event["id"])
    return runs


def judge_queue(found: Found, heard: list[dict[str, object]], kept: list[int]) -> str:
    """Checks that each tube was delivered once and in order, and returns the counts.

    Args:
        found: What is on the disk at the end.
        heard: Messages in the order of their arrival.
        kept: For each run but the last, the number of events a second before its cut.
    """
    first: dict[tuple[object, object], dict[str, object]] = {}
    again = 0
    for message in heard:
        known = first.setdefault((message["run"], message["seq"]), message)
        again += known is not message
        assert known == message
    order = list(first.values())
    by_run: dict[object, list[dict[str, object]]] = {}
    for message in order:
        by_run.setdefault(message["run"], []).append(message)
    assert order == [message for run in by_run.values() for message in run]
    begun = [str(messages[0]["date"]) for messages in by_run.values()]
    assert begun == sorted(begun)
    for messages in by_run.values():
        assert [message["seq"] for message in messages] == list(range(len(messages)))
    runs = runs_of(found)
    assert len(runs) == len(kept) + 1
    starts = [start for start, *_ in runs]
    for number, (start, places, ids) in enumerate(runs):
        end = starts[number + 1] if number + 1 < len(starts) else float("inf")
        delivered = {
            message["id"]
            for message in order
            if message["kind"] == "end"
            and start <= datetime.fromisoformat(str(message["date"])).timestamp() < end
        }
        limit = kept[number] if number < len(kept) else len(found.lines)
        lost = [k for k, i in zip(places, ids, strict=True) if i not in delivered and k < limit]
        assert not lost, f"run {number}: lines {lost} of {limit}; delivered {sorted(delivered)}"
    tubes = sum(len(ids) for *_, ids in runs)
    return (
        f"{len(by_run)} runs, {len(first)} messages in order, {tubes} tubes in the events, "
        f"0 without their end message; {again} messages arrived twice, with the same run "
        "and seq"
    )


@pytest.mark.parametrize(("arch", "cuts"), [("amd64", CUTS), ("arm64", -(-CUTS // 5))])
def test_power_cuts(arch: str, cuts: int, place: Path, broker: Broker, shows: Shows) -> None:
    random.seed(22)
    disk, data = overlay(base(arch), place / "disk.qcow2"), place / "data.img"
    prepare(boot(arch), disk, data, broker.port, place / "machine")
    kept, lost, nul, late, ages = [], 0, 0, [], []
    for cut in range(cuts):
        counted, age, newest = cut_once(
            boot(arch), disk, data, place / "machine", network=cut % 2 == 1
        )
        found = examine(data, place / "found")
        print(f"cut {cut}: {counted} events {age:.2f} s before, then {found._replace(lines=[])}")
        assert found.invalid == 0
        assert found.old_nul == 0
        lost += max(0, counted - len(found.lines))
        nul += found.new_nul > 0
        late.append(newest - found.videos[0])
        ages.append(age)
        kept.append(counted)
    assert lost == 0
    shows(
        f"{arch}, events: what was written a second before the cut is there; all lines are valid.",
        "kill -9 of QEMU",
        f"{cuts} cuts, {len(found.lines)} events; {lost} events older than "
        f"{max(ages):.1f} s lost; 0 invalid lines; {nul} files ended with NUL bytes, which the "
        "next run removed",
    )
    shows(
        f"{arch}, videos: those of the last six runs play to their end after each cut.",
        "kill -9 of QEMU",
        f"the video ends at most {max(late):.1f} s before the newest frame of a second before",
    )
    if found.clips:
        shows(f"{arch}, clips: all play.", "kill -9 of QEMU", f"{found.clips} clips")
    last = broker.heard()[-1]["run"]
    with Machine(boot(arch), disk, place / "machine", drives=(data,), network=True) as guest:
        guest.wait_for_boot()
        service = Service(guest)
        service.wait_until_active()
        service.wait_for_frames(3)
        # The queue is in order: when a message of this run arrives, all before it have.
        deadline = time.monotonic() + 900
        while broker.heard()[-1]["run"] == last:
            assert time.monotonic() < deadline
            time.sleep(2)
        guest.run(f"systemctl stop {UNIT}")
        guest.shut_down()
    found = examine(data, place / "found")
    assert found.waiting == 0
    shows(
        f"{arch}, MQTT: after the last boot every message was delivered once and in order.",
        "every second boot without the broker; then a boot with it",
        judge_queue(found, broker.heard(), kept),
    )
