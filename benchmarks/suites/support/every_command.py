"""Lists an example of each command, for the suite that records system calls."""

from __future__ import annotations

import sys
from typing import NamedTuple

from edgekit.models.registry import Architecture

__all__ = ["ARCHITECTURE", "NETWORK", "Command", "every_command"]

NETWORK = "tiny"
"""Name of the network in the commands. A tiny one says to others what a large one says."""

ARCHITECTURE = Architecture(
    "edgekit.benchmarks.suites.support.tiny_network:TinyNetwork",
    head_conv=8,
    stem="tiny.weight",
    has=(),
)
"""The network of that name, for the entry point of a package."""

_TARGETS = ("onnx", "openvino", "tflite", "jetson", "ncnn")
_EVERY_TARGET = " ".join(f"--target {target}" for target in _TARGETS)
_PYTHON = """
from edgekit import Detector, open_source
with Detector("artifacts/made-onnx-fp32") as detector, open_source("clips/puppets-5.avi") as source:
    print(sum(len(detector.detect(frame.image).flat(0.3)[0]) for frame in source))
"""


class Command(NamedTuple):
    """A command line.

    Attributes:
        name: Name in the table.
        words: Program and its arguments.
        makes: Paths that it creates in the working folder or, after ``~/``, in the home folder.
        expected: Expected exit status.
    """

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...] = ()
    expected: int = 0


def every_command(port: int) -> list[Command]:
    """Returns the commands, in an order in which each finds what it needs.

    Args:
        port: Port on loopback of a server for the working folder, which holds ``clips`` and the
            private key ``signing_key``. The commands must find the network ``NETWORK``.
    """
    clip = "clips/puppets-5.avi"
    bundles = {target: f"artifacts/made-{target}-fp32" for target in _TARGETS}
    found = [
        *_of_machines(),
        *_of_dataset(),
        _edgekit(
            "train",
            f"train --root clips --arch {NETWORK} --epochs 1 --images 2 --batch 2 --input-size 64 "
            "--workers 1 --from scratch -o trained",
            *("trained", "~/.cache/edgekit"),
        ),
        _edgekit(
            "export, all targets",
            f"export trained/weights.safetensors {_EVERY_TARGET} --name made",
            "artifacts",
        ),
    ]
    found += _quantizations(bundles)
    onnx, jetson = bundles["onnx"], bundles["jetson"]
    measured = " ".join(bundles[name] for name in ("onnx", "openvino", "tflite", "ncnn"))
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
            f"run --bundle {bundles['openvino']} --source {clip} --cache compiled",
            "compiled",
        ),
        _edgekit(
            "run, a stream over HTTP, all outputs",
            f"run --bundle shipped --source http://127.0.0.1:{port}/{clip} --video seen.mp4 "
            "--picture seen.png --clips seen --serve 0 --metrics 0 --mqtt mqtt://127.0.0.1:1/home",
            *("seen.mp4", "seen.png", "seen", "~/.local/state/edgekit"),
            expected=3,  # there is no broker
        ),
        _edgekit("run, the shipped model", f"run --bundle shipped --source {clip} --max-frames 3"),
        _edgekit("fleet", "fleet mqtt://127.0.0.1:1/home --once", expected=3),
        _edgekit("bench", f"bench {measured} --frames 10 --rounds 1 --threads 1"),
        _edgekit("eval", f"eval {onnx} --root clips", "~/.cache/edgekit"),
        _edgekit("build", f"build {jetson}", expected=4),
        _edgekit("demo", "demo -o shown", "shown"),
        *_of_bundle(onnx),
        *(_edgekit(f"cache, {word}", f"cache {word}") for word in ("info", "clear")),
        Command("Detector, from Python", (sys.executable, "-c", _PYTHON)),
    ]


def _of_machines() -> list[Command]:
    """Returns the commands that examine this machine and others."""
    return [
        _edgekit("doctor", "doctor"),
        _edgekit("deploy", "deploy --status 127.0.0.1", expected=3),  # there is no server for SSH
    ]


def _of_bundle(bundle: str) -> list[Command]:
    """Returns the commands that show and sign a bundle."""
    return [
        _edgekit("inspect", f"inspect {bundle}"),
        _edgekit("sign", f"sign {bundle} --key signing_key", bundle),
    ]


def _of_dataset() -> list[Command]:
    """Returns the commands of the group ``dataset``."""
    return [
        _edgekit("dataset, inspect", "dataset inspect clips --sheet sheet.png", "sheet.png"),
        _edgekit("dataset, check", "dataset check clips --decode"),
        _edgekit("dataset, convert", "dataset convert clips -o converted", "converted"),
        _edgekit("dataset, split", "dataset split clips --train 0.5 -o divided", "divided"),
    ]


def _quantizations(bundles: dict[str, str]) -> list[Command]:
    """Returns a quantization for each target; ONNX's keeps the samples in the usual cache."""
    caches = dict.fromkeys(_TARGETS, ("--cache kept", "kept"))
    caches["onnx"] = ("", "~/.cache/edgekit")
    return [
        _edgekit(
            f"quantize, {name}",
            f"quantize {bundle} --calib clips --samples 2 --max-drop 100 -o {name}-int8 "
            f"{caches[name][0]}",
            *(f"{name}-int8", caches[name][1]),
        )
        for name, bundle in bundles.items()
    ]


def _edgekit(name: str, words: str, *makes: str, expected: int = 0) -> Command:
    command = (sys.executable, "-m", "edgekit", *words.split())
    return Command(name, command, makes, expected)
