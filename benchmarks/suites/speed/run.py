"""Measures ``edgekit run`` as a user calls it: frames per second and stage times, with outputs.

Run it as ``python -m edgekit.benchmarks.suites.speed.run VIDEO``. The outputs are events and video.
The baseline is the same run without outputs; both are whole processes, in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgekit.measuring.timing import machine

__all__ = ["main"]


def _run(video: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "edgekit", "run", "--source", video, "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Prints frames per second with and without outputs, and the median of each stage."""
    parser = argparse.ArgumentParser(description="Measures edgekit run with events and video.")
    parser.add_argument("video")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        outputs = ("--events", str(Path(folder, "e")), "--video", str(Path(folder, "v.mp4")))
        plain, full = [], []
        for _ in range(arguments.repeats):
            plain.append(_run(arguments.video))
            full.append(_run(arguments.video, *outputs))
    rates = [
        statistics.median(run["frames"] / run["seconds"] for run in runs) for runs in (plain, full)
    ]
    print(f"nothing written   {rates[0]:6.1f} frames a second")
    print(f"events and video  {rates[1]:6.1f} frames a second, {rates[1] / rates[0]:.2f} of it")
    for stage in full[0]["stages"]:
        median = statistics.median(run["stages"][stage]["p50"] for run in full)
        print(f"{stage:<10}{median:8.2f} ms")


if __name__ == "__main__":
    main()
