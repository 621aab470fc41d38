"""Kills deployments at random moments, and checks that the earlier release still runs.

Two simulated devices run a first release. A deployment of another bundle to both is killed by
SIGKILL after a random time, again and again: ``edgekit deploy`` itself, its ``ssh`` to the first
device, or the program on the first device, in turn. After each kill, both services have to answer,
and their current release has to be complete. Last, a good bundle is deployed.

    python -m edgekit.benchmarks.suites.deployment.killed_deployments --times 30
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.deployment._trial import Trial
from edgekit.bundle import load_bundle, save_bundle

__all__ = ["KINDS", "kill_part", "main"]

_NAMES = ("device-a", "device-b")
_LONGEST = 30.0

KINDS = ("edgekit", "ssh", "device")
"""Parts of a deployment that are killed: itself, its ``ssh`` to a device, its program there."""


def main() -> None:
    """Runs the experiment and prints one line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--longest", type=float, default=_LONGEST)
    arguments = parser.parse_args()
    chance = random.Random(22)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        first = load_bundle(default_bundle())
        name, other = first.manifest.name, _other(folder)
        with Trial(folder, _NAMES, first.path, fps=2) as trial:
            failures, slowest = 0, 0.0
            for number in range(arguments.times):
                kind, after = KINDS[number % len(KINDS)], chance.uniform(0, arguments.longest)
                process = subprocess.Popen(
                    trial.command(*_NAMES, other, watch=600), env=trial.environment,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
                time.sleep(after)
                step = kill_part(process, kind, _NAMES[0], trial.devices[0].kill_programs)
                took = trial.seconds_until_all_answer(name)
                links = [each.root / "services/edgekit/current" for each in trial.devices]
                kept = all(load_bundle(link / "bundle").manifest.name == name for link in links)
                failures += took is None or not kept
                slowest = max(slowest, took or 0)
                print(f"{number + 1}: {kind} killed after {after:.1f} s ({step}); both answer "
                      f"after {took} s", flush=True)  # fmt: skip
            print(f"{arguments.times} kills, {failures} failures, slowest answer {slowest:.1f} s")
            outcomes = [each["outcome"] for each in trial.run(*_NAMES, other)]
            took = trial.seconds_until_all_answer("other")
            print(f"good bundle after that: {outcomes}, answers after {took} s")


def kill_part(
    deployment: subprocess.Popen[str], kind: str, host: str, kill_program: Callable[[], bool]
) -> str:
    """Kills a part of a deployment by SIGKILL; returns the last step that it reported.

    Args:
        deployment: ``edgekit deploy``, with its standard error in a pipe.
        kind: One of ``KINDS``. If that part does not run, the deployment itself is killed.
        host: Name of the device whose part is killed, at the beginning of each of its steps.
        kill_program: Kills the program on the device, and returns whether it ran.
    """
    if kind == "device" and not kill_program():
        kind = "edgekit"
    if kind == "ssh":
        children = Path(f"/proc/{deployment.pid}/task").glob("*/children")
        found = " ".join(each.read_text() for each in children).split()
        ssh = [
            each for each in found if host.encode() in Path(f"/proc/{each}/cmdline").read_bytes()
        ]
        for each in ssh:
            os.kill(int(each), signal.SIGKILL)
        kind = kind if ssh else "edgekit"
    if kind != "edgekit":
        # The deployment to the other device goes on, and is ended by its user after a while.
        with contextlib.suppress(subprocess.TimeoutExpired):
            deployment.wait(3)
        deployment.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            deployment.wait(30)
    deployment.kill()
    _, said = deployment.communicate()
    steps = [line for line in said.splitlines() if line.startswith(host)]
    return (steps or ["before the first step"])[-1]


def _other(folder: Path) -> Path:
    """Writes a copy of the shipped bundle with another name."""
    loaded = load_bundle(default_bundle())
    files = {}
    (folder / "files").mkdir()
    for entry in loaded.manifest.files:
        files[entry.path] = folder / "files" / entry.path
        files[entry.path].write_bytes(loaded.read_file(entry.path))
    manifest = msgspec.structs.replace(loaded.manifest, name="other", files=())
    return save_bundle(folder / "other", manifest, files).path


if __name__ == "__main__":
    main()
