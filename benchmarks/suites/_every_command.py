"""One command line of every kind, small enough to be watched in a minute or two."""

from __future__ import annotations

import sys
from typing import NamedTuple

__all__ = ["Command", "every_command"]

_TARGETS = ("onnx", "openvino", "tflite", "jetson")
_PYTHON = """
from edgekit import Detector, open_source
with Detector("onnx") as detector, open_source("clips/puppets-5.avi") as source:
    print(sum(len(detector.detect(frame.image).flat(0.3)[0]) for frame in source))
"""


class Command(NamedTuple):
    """A command line.

    Attributes:
        name: What it is called.
        words: The program and its arguments.
        makes: What it names of the working folder or, after ``~/``, keeps in the home folder.
        expected: The exit status that it should have.
    """

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...] = ()
    expected: int = 0


def every_command(port: int) -> list[Command]:
    """The commands, in an order in which each finds what it needs.

    Args:
        port: Of a server of the working folder on loopback. That folder holds ``clips``.
    """
    clip, bundles = "clips/puppets-5.avi", {target: target for target in _TARGETS}
    found = [
        _edgekit("doctor", "doctor"),
        _edgekit(
            "train",
            "train --root clips --epochs 1 --images 2 --batch 2 --input-size 64 --workers 1 "
            "--from scratch -o trained",
            "trained",
        ),
    ]
    found += [
        _edgekit(f"export, {name}", f"export --target {name} --input-size 128 -o {name}", name)
        for name in bundles
    ]
    found += [
        _edgekit(
            f"quantize, {name}",
            f"quantize {name} --calib clips --samples 2 --max-drop 100 -o {name}-int8 --cache kept",
            *(f"{name}-int8", "kept"),
        )
        for name in bundles
    ]
    bundles["jetson"] += " --runtime onnxruntime"
    found += [
        _edgekit(
            f"run, {name}, a file",
            f"run --bundle {bundle} --source {clip} --threads 1 --events {name}.jsonl",
            f"{name}.jsonl",
        )
        for name, bundle in bundles.items()
    ]
    return [
        *found,
        _edgekit(
            "run, openvino, with a cache",
            f"run --bundle openvino --source {clip} --cache compiled",
            "compiled",
        ),
        _edgekit(
            "run, a stream over HTTP, all outputs",
            f"run --bundle onnx --source http://127.0.0.1:{port}/{clip} --video seen.mp4 "
            "--picture seen.png --clips seen --serve 0 --metrics 0 --mqtt mqtt://127.0.0.1:1/home",
            *("seen.mp4", "seen.png", "seen", "~/.local/state/edgekit"),
            expected=3,  # there is no broker
        ),
        _edgekit("run, the shipped model", f"run --source {clip} --max-frames 3"),
        _edgekit("bench", "bench onnx openvino tflite --frames 10 --rounds 1 --threads 1"),
        _edgekit("eval", "eval onnx --root clips"),
        _edgekit("build", "build jetson", expected=4),
        _edgekit("demo", "demo -o shown", "shown"),
        _edgekit("inspect", "inspect onnx"),
        _edgekit(
            "quantize, the user's cache",
            "quantize onnx --calib clips --samples 2 --max-drop 100 -o again",
            *("again", "~/.cache/edgekit"),
        ),
        _edgekit("cache", "cache info"),
        Command("Detector, from Python", (sys.executable, "-c", _PYTHON)),
    ]


def _edgekit(name: str, words: str, *makes: str, expected: int = 0) -> Command:
    command = (sys.executable, "-m", "edgekit", *words.split())
    return Command(name, command, makes, expected)
