"""Simulated devices that run a first release, and deployments to them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from edgekit._closing import Closing
from edgekit.benchmarks.suites.deployment.offline_wheels import make_wheels
from edgekit.benchmarks.suites.deployment.ssh_devices import SshDevice, Workstation
from edgekit.benchmarks.suites.support.streams import free_ports
from edgekit.bundle import load_bundle

__all__ = ["EDGEKIT", "Trial", "seconds_until_all_answer", "write_clip"]

EDGEKIT = (sys.executable, "-m", "edgekit")
_PATIENCE = 90.0


class Trial(Closing):
    """Devices that run a first release; a context manager.

    Args:
        folder: Empty folder for all files.
        names: Names of the devices.
        bundle: Bundle of the first release.
        fps: Frames per second of their source: an hour of a dark picture.
    """

    def __init__(self, folder: Path, names: Sequence[str], bundle: Path, *, fps: int) -> None:
        self.folder, self.names = folder, names
        for each in ("wheels", "workstation"):
            (folder / each).mkdir()
        self.wheels = make_wheels(folder / "wheels")
        self._workstation = Workstation(folder / "workstation")
        self.clip = write_clip(folder / "clip.mp4", fps, [0] * 3600 * fps)
        self.ports = {name: free_ports(1) for name in names}
        with contextlib.ExitStack() as stack:
            self.devices = [
                stack.enter_context(SshDevice(folder / name, name, self._workstation))
                for name in names
            ]
            for name in names:
                self.run(name, bundle, "--config", self.options(name, self.clip))
            found = self.seconds_until_all_answer(load_bundle(bundle).manifest.name)
            print("first release answers after s:", found, flush=True)
            self._devices = stack.pop_all()

    def close(self) -> None:
        """Ends the devices."""
        self._devices.close()

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which ``ssh`` finds the devices."""
        return {**os.environ, "PATH": self._workstation.path}

    def options(self, name: str, source: Path, *more: str) -> Path:
        """Writes the options of the service of a device, with further lines; returns the file."""
        path = self.folder / f"{name}-{source.stem}-{len(more)}.toml"
        lines = [f'source = "{source}"', "realtime = true", "threads = 1"]
        path.write_text("\n".join([*lines, f'serve = "{self.ports[name]}"', *more, ""]))
        return path

    def command(self, *words: object, watch: float = 5) -> list[str]:
        """Returns the words of a deployment."""
        command = [*EDGEKIT, "deploy", "--json", "--watch", str(watch), "--bench-frames", "0"]
        return [*command, "--wheels", str(self.wheels), *map(str, words)]

    def run(self, *words: object, watch: float = 5) -> list[dict[str, object]]:
        """Deploys; returns the result of each device."""
        command = self.command(*words, watch=watch)
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        found: list[dict[str, object]] = json.loads(done.stdout)["hosts"]
        return found

    def seconds_until_all_answer(self, bundle: str) -> float | None:
        """Returns how long it took until all services ran a bundle; None if they do not.

        Args:
            bundle: Name of the bundle that they have to run, without a trial, and with frames.
        """
        return seconds_until_all_answer(self.names, bundle, self.environment, _PATIENCE)


def seconds_until_all_answer(
    hosts: Sequence[str], bundle: str, environment: Mapping[str, str], patience: float
) -> float | None:
    """Returns how long it took until all services ran a bundle; None if they do not.

    Args:
        hosts: Names of the devices for ``ssh``.
        bundle: Name of the bundle that they have to run, without a trial, and with frames.
        environment: Environment in which ``ssh`` finds the devices.
        patience: Longest wait, in seconds.
    """
    began = time.monotonic()
    words = [*EDGEKIT, "deploy", "--status", "--json", *hosts]
    while time.monotonic() - began < patience:
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        found = json.loads(done.stdout).get("hosts", [])
        states = [(each["bundle"], each["level"], each["trial"]) for each in found]
        if states == [(bundle, "ok", False)] * len(hosts):
            return round(time.monotonic() - began, 1)
    return None


def write_clip(path: Path, fps: int, levels: Sequence[int]) -> Path:
    """Writes a video whose pictures have the given levels of grey; returns it."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (64, 64))
    for level in levels:
        writer.write(np.full((64, 64, 3), level, np.uint8))
    writer.release()
    return path
