"""Runs the device side with only its own dependencies installed.

pytest does not collect it: ``make smoke`` runs it in a separate environment.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from edgekit.system.installation import install_line

EDGEKIT = [sys.executable, "-m", "edgekit"]


def edgekit(*arguments: str) -> str:
    done = subprocess.run([*EDGEKIT, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"edgekit {' '.join(arguments)} gave {done.returncode}:\n{done.stderr}")
    return done.stdout


def main() -> None:
    for module in ("torch", "onnx", "matplotlib"):
        if importlib.util.find_spec(module):
            sys.exit(f"{module} is installed here: this is no device environment")
    edgekit("--help")
    edgekit("doctor")
    print(edgekit("inspect", "--json")[:200])
    with tempfile.TemporaryDirectory() as name:
        clip, events = Path(name) / "clip.mp4", Path(name) / "events.jsonl"
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
        rng = np.random.default_rng(0)
        for _ in range(12):
            writer.write(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8))
        writer.release()
        edgekit("run", "--source", str(clip), "--events", str(events))
        kinds = [json.loads(line)["type"] for line in events.read_text().splitlines()]
        demo = json.loads(edgekit("demo", "-o", str(Path(name) / "demo"), "--json"))
    if kinds[0] != "start" or kinds[-1] != "end" or kinds.count("frame") != 12:
        sys.exit(f"unexpected events: {kinds}")
    if demo["frames"] != 130 or not 0 <= demo["frame_map"]["0.5"] <= 1:
        sys.exit(f"unexpected result of the demonstration: {demo}")
    for command in (["export"], ["quantize", "--calib"]):
        done = subprocess.run(
            [*EDGEKIT, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=tempfile.gettempdir(),
        )
        if done.returncode != 4 or install_line("host") not in done.stderr:
            sys.exit(f"{command[0]} without torch gave {done.returncode}:\n{done.stderr}")
    print("The device side runs on its own dependencies.")


if __name__ == "__main__":
    main()
