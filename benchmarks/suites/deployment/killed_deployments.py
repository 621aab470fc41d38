"""Kills ``edgekit deploy`` at random moments, and asks the services that ran before.

Two simulated devices run a first release. A deployment of another bundle to both is killed by
SIGKILL after a random time, again and again. After each kill, both services have to answer, and
their current release has to be complete. Last, a broken bundle is deployed, and then a good one.

    python -m edgekit.benchmarks.suites.deployment.killed_deployments --times 30
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.deployment.offline_wheels import make_wheels
from edgekit.benchmarks.suites.deployment.ssh_devices import SshDevice, Workstation, free_port
from edgekit.bundle import load_bundle, save_bundle

_NAMES = ("device-a", "device-b")
_LONGEST = 30.0
_PATIENCE = 90.0


class _Trial:
    """The devices, and what is deployed to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "wheels").mkdir()
        self.wheels = make_wheels(folder / "wheels")
        (folder / "workstation").mkdir()
        self.workstation = Workstation(folder / "workstation")
        self.ports = {name: free_port() for name in _NAMES}
        self.good = load_bundle(default_bundle()).path
        self.other = self._bundle("other", None)
        self.broken = self._bundle("broken", b"no model")
        clip = folder / "clip.mp4"
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 2, (64, 64))
        for _ in range(7200):
            writer.write(np.zeros((64, 64, 3), np.uint8))
        writer.release()
        for name, port in self.ports.items():
            lines = [f'source = "{clip}"', "realtime = true", "threads = 1", f'serve = "{port}"']
            (folder / f"{name}.toml").write_text("\n".join(lines) + "\n")

    def command(self, *words: object, watch: int = 5) -> list[str]:
        """Returns the words of a deployment."""
        command = [sys.executable, "-m", "edgekit", "deploy", "--json", "--watch", str(watch)]
        command += ["--bench-frames", "0", "--wheels", str(self.wheels)]
        return [*command, *map(str, words)]

    def run(self, *words: object, watch: int = 5) -> dict[str, list[dict[str, object]]]:
        """Deploys; returns what was printed."""
        done = subprocess.run(
            self.command(*words, watch=watch), env=self.environment, capture_output=True, text=True
        )
        found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
        return found

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which ``ssh`` finds the devices."""
        return {**os.environ, "PATH": self.workstation.path}

    def seconds_until_all_answer(self, bundle: str) -> float | None:
        """Returns how long it took until both services ran a bundle; None if they do not.

        Args:
            bundle: Name of the bundle that they have to run, without a trial, and with frames.
        """
        began = time.monotonic()
        words = [sys.executable, "-m", "edgekit", "deploy", "--status", "--json", *_NAMES]
        while time.monotonic() - began < _PATIENCE:
            done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
            found = json.loads(done.stdout).get("hosts", [])
            states = [(each["bundle"], each["level"], each["trial"]) for each in found]
            if states == [(bundle, "ok", False)] * len(_NAMES):
                return round(time.monotonic() - began, 1)
        return None

    def _bundle(self, name: str, model: bytes | None) -> Path:
        loaded = load_bundle(self.good)
        (self.folder / f"{name}-files").mkdir()
        files = {}
        for entry in loaded.manifest.files:
            place = self.folder / f"{name}-files" / entry.path
            is_model = entry.path == loaded.manifest.model
            place.write_bytes(model if model and is_model else loaded.read_file(entry.path))
            files[entry.path] = place
        manifest = msgspec.structs.replace(loaded.manifest, name=name, files=())
        return save_bundle(self.folder / name, manifest, files).path


def main() -> None:
    """Runs the experiment and prints one line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30)
    arguments = parser.parse_args()
    chance = random.Random(22)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trial = _Trial(folder)
        devices = [
            stack.enter_context(SshDevice(folder / name, name, trial.workstation))
            for name in _NAMES
        ]
        for host in _NAMES:
            trial.run(host, trial.good, "--config", folder / f"{host}.toml")
        name = load_bundle(trial.good).manifest.name
        print("first release answers after s:", trial.seconds_until_all_answer(name), flush=True)
        failures, slowest = 0, 0.0
        for number in range(arguments.times):
            process = subprocess.Popen(
                trial.command(*_NAMES, trial.other, watch=600), env=trial.environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            after = chance.uniform(0, _LONGEST)
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            took = trial.seconds_until_all_answer(name)
            links = [each.root / "services/edgekit/current" for each in devices]
            kept = all(load_bundle(link / "bundle").path and link.readlink().name for link in links)
            step = (said.strip().splitlines() or ["before the first step"])[-1]
            failures += took is None or not kept
            slowest = max(slowest, took or 0)
            print(f"{number + 1}: killed after {after:.1f} s ({step}); both answer after {took} s",
                  flush=True)  # fmt: skip
        print(f"{arguments.times} kills, {failures} failures, slowest answer {slowest:.1f} s")
        began = time.monotonic()
        found = trial.run(*_NAMES, trial.broken, watch=60)["hosts"]
        outcomes = [each["outcome"] for each in found]
        took = trial.seconds_until_all_answer(name)
        print(f"broken bundle: {outcomes}; the old release answers {took} s after the end of the "
              f"deployment, {time.monotonic() - began:.0f} s after its start")  # fmt: skip
        outcomes = [each["outcome"] for each in trial.run(*_NAMES, trial.other)["hosts"]]
        took = trial.seconds_until_all_answer("other")
        print(f"good bundle after that: {outcomes}, answers after {took} s")


if __name__ == "__main__":
    main()
