"""Deployment: over SSH, to two booted guests, one of x86-64 and one of arm64, at the same time."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgekit.benchmarks.suites.deployment._trial import EDGEKIT, seconds_until_all_answer
from edgekit.benchmarks.suites.deployment.bad_releases import make_bundle
from edgekit.benchmarks.suites.deployment.killed_deployments import KINDS, kill_part
from edgekit.benchmarks.suites.deployment.ssh_devices import Workstation
from edgekit.benchmarks.suites.support.streams import free_ports
from tests.vm.cache import RUN
from tests.vm.conftest import Shows, resumed
from tests.vm.disk import wheels
from tests.vm.machine import Machine
from tests.vm.service import CAMERA

KILLS = int(os.environ.get("EDGEKIT_VM_KILLS", "3"))
ARCHITECTURES = ("arm64", "amd64")
HOSTS = [f"pi@{arch}" for arch in ARCHITECTURES]
# A trial compares rates: one frame a second is reached however busy this machine is.
OPTIONS = 'camera = 0\nfps = 1\nthreads = 1\nserve = "8080"\n'
# The start of a run takes half a minute.
WATCH = 120.0
LONGEST_ANSWER = 600.0
USER = """echo '127.0.1.1 edge' >> /etc/hosts
useradd -m -s /bin/bash -G video pi
echo 'pi ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/pi
install -d -m 700 -o pi -g pi /home/pi/.ssh
mkdir -p /run/sshd && systemctl start ssh
"""


class Devices:
    """Both guests, with a user of each who may log in by a key and call sudo.

    Args:
        folder: Empty folder for all files.
        stack: Keeps the guests running.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        for name in ("wheels", "workstation", "bundles", *ARCHITECTURES):
            (folder / name).mkdir(parents=True)
        self.bundles = folder / "bundles"
        self.options = folder / "options.toml"
        self.options.write_text(OPTIONS)
        self._wheels = folder / "wheels"
        self._workstation = Workstation(folder / "workstation")
        self.guests: dict[str, Machine] = {}
        for arch in ARCHITECTURES:
            for wheel in wheels(arch):
                (self._wheels / wheel.name).unlink(missing_ok=True)  # of any architecture
                (self._wheels / wheel.name).symlink_to(wheel)
            guest = self.guests[arch] = resumed(arch, folder / arch, stack)
            guest.run(f"{CAMERA} && {USER}")
            keys = "/home/pi/.ssh/authorized_keys"
            guest.put(keys, self._workstation.key.with_suffix(".pub").read_bytes())
            port = free_ports(1)
            guest.monitor(f"hostfwd_add n0 tcp:127.0.0.1:{port}-:22")
            host_key = guest.get("/etc/ssh/ssh_host_ed25519_key.pub").decode()
            self._workstation.add(arch, port, host_key)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": self._workstation.path}

    def edgekit(self, *words: object) -> list[dict[str, Any]]:
        """Runs ``edgekit deploy`` until it ends; returns what it says of each host."""
        command = [*EDGEKIT, "deploy", "--json", *map(str, words)]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True)
        answer = json.loads(done.stdout)
        assert "hosts" in answer, done.stdout + done.stderr
        found: list[dict[str, Any]] = answer["hosts"]
        return found

    def words(self, bundle: Path, *more: object, watch: float = WATCH) -> list[object]:
        """Returns the words of a deployment to both."""
        service = ("--service", "system", "--wheels", self._wheels, "--watch", watch)
        return [*HOSTS, bundle, *service, *more]

    def start(self, bundle: Path) -> subprocess.Popen[str]:
        """Starts a deployment whose trial does not end."""
        words = map(str, self.words(bundle, "--bench-frames", 0, watch=3600))
        command = [*EDGEKIT, "deploy", *words]
        return subprocess.Popen(
            command, env=self._environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def kill_program(self) -> bool:
        """Kills the program of a deployment in the first guest, as a lack of memory would."""
        killed = "pkill --oldest --signal KILL --full '[e]dgekit-device'"
        return self.guests[ARCHITECTURES[0]].run(killed, status=None).status == 0

    def seconds_until_both_answer(self, bundle: str) -> float:
        """Returns how long it took until both services ran a bundle, without a trial."""
        took = seconds_until_all_answer(HOSTS, bundle, self._environment(), LONGEST_ANSWER)
        assert took is not None
        return took


@pytest.fixture(scope="module")
def devices() -> Iterator[Devices]:
    """Two guests, without a deployment at first."""
    folder = RUN / "devices"
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        yield Devices(folder, stack)
    shutil.rmtree(folder, ignore_errors=True)


def outcomes(found: list[dict[str, Any]]) -> list[str]:
    """Returns what became of a deployment, for the host of each architecture."""
    print(*(f"{each['host']}: {each['outcome']}, {each['state']}" for each in found), sep="\n")
    return [each["outcome"] for each in found]


def test_a_first_release(devices: Devices, shows: Shows) -> None:
    bundle = make_bundle(devices.bundles, "first")
    words = devices.words(bundle, "--config", devices.options, "--bench-frames", 10)
    found = devices.edgekit(*words)
    assert outcomes(found) == ["deployed", "deployed"]
    for host, each in zip(HOSTS, found, strict=True):
        megabytes, milliseconds = each["copied"] / 1e6, each["milliseconds"]
        shows(
            f"A first deployment to `{host}`, which has no network: packages, bundle, service.",
            f"edgekit deploy {' '.join(HOSTS)} first --config door.toml --service system "
            "--wheels wheels",
            f"{each['outcome']} after {each['seconds']:.0f} s, {megabytes:.0f} MB sent, "
            f"{milliseconds:.0f} ms a frame, {each['state']}",
        )
    kernels = devices.guests["arm64"].run(
        "/home/pi/.local/share/edgekit/services/edgekit/current/venv/bin/edgekit doctor",
        status=None,
    )
    assert "neon" in kernels.output


def test_deployments_that_are_killed(devices: Devices, shows: Shows) -> None:
    bundle = make_bundle(devices.bundles, "other")
    seed = random.randrange(10000)
    chance, steps, slowest = random.Random(seed), [], 0.0
    for number in range(KILLS):
        kind, after = KINDS[number % len(KINDS)], chance.uniform(0, 90)
        process = devices.start(bundle)
        time.sleep(after)
        step = kill_part(process, kind, HOSTS[0], devices.kill_program)
        took = devices.seconds_until_both_answer("first")
        print(f"{number + 1}: {kind} killed after {after:.0f} s ({step}); {took} s", flush=True)
        steps.append(step.removeprefix(f"{HOSTS[0]}: "))
        slowest = max(slowest, took)
    shows(
        f"`edgekit deploy`, its `ssh` to arm64 or its program there is killed at {KILLS} random "
        "moments. After each, both guests run the first release, with frames and without a trial.",
        f"kill -KILL (seed {seed})",
        f"both answer within {slowest:.0f} s; killed at: {', '.join(sorted(set(steps)))}",
    )


def test_a_bundle_that_cannot_be_loaded(devices: Devices, shows: Shows) -> None:
    bundle = make_bundle(devices.bundles, "broken", "no model")
    found = devices.edgekit(*devices.words(bundle, "--bench-frames", 0))
    assert outcomes(found) == ["rolled back", "rolled back"]
    took = devices.seconds_until_both_answer("first")
    shows(
        "A bundle whose model cannot be loaded is taken back on both.",
        f"edgekit deploy {' '.join(HOSTS)} broken",
        f"rolled back after {max(each['seconds'] for each in found):.0f} s, including the copy; "
        f"the first release gives frames {took:.0f} s later",
    )


def test_the_next_release_and_back(devices: Devices, shows: Shows) -> None:
    bundle = devices.bundles / "other"
    found = devices.edgekit(*devices.words(bundle, "--bench-frames", 0))
    assert outcomes(found) == ["deployed", "deployed"]
    devices.seconds_until_both_answer("other")
    back = devices.edgekit("--rollback", *HOSTS, "--watch", WATCH)
    assert outcomes(back) == ["deployed", "deployed"]
    devices.seconds_until_both_answer("first")
    shows(
        "The next release, and back to the first.",
        f"edgekit deploy {' '.join(HOSTS)} other; edgekit deploy --rollback {' '.join(HOSTS)}",
        f"{found[0]['state']}; {back[0]['state']}",
    )
