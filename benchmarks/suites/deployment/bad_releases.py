"""Deploys releases that are bad in different ways, and measures how fast each is taken back.

A simulated device runs a good release. Then come a bundle whose model cannot be loaded, one that
fails after some seconds of work, one that is too slow for the source, and options with an MQTT
broker that is not there, so that the health is degraded. For each, the seconds from the beginning
of its trial are printed: until it is taken back, and until the good release gives frames again.

    python -m edgekit.benchmarks.suites.deployment.bad_releases
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from edgekit.benchmarks.suites.deployment._trial import Trial, write_clip
from edgekit.benchmarks.suites.deployment.small_bundle import HEADS, save_small_bundle
from edgekit.system.telemetry import import_onnxruntime

__all__ = ["FAULTS", "make_bundle"]

FAULTS = ("", "no model", "fails", "slow")
"""What is wrong with a bundle: nothing, it has no model, or it fails or is slow in bright light."""
_NAME = "device-a"
_FPS = 10
_SIDE = 64
_CHANNELS = 128
_TRIED_LAYERS = 24
_SLOW = 0.5
"""Seconds that a slow network takes for a bright picture: five times as long as between frames."""


def make_bundle(folder: Path, name: str, fault: str = "") -> Path:
    """Writes a bundle with a small network, which detects nothing; returns its folder.

    How many layers make a network slow is tried out, as processors differ.

    Args:
        folder: Folder in which its folder is made.
        name: Name of the bundle.
        fault: One of ``FAULTS``; empty for none.
    """
    model = folder / f"{name}.onnx"
    content = b"no model" if fault == "no model" else _network(fault, _TRIED_LAYERS)
    if fault == "slow":
        content = _network(fault, math.ceil(_TRIED_LAYERS * _SLOW / _seconds(content)))
    model.write_bytes(content)
    return save_small_bundle(folder / name, model, name=name, side=_SIDE).path


def _seconds(model: bytes) -> float:
    """Returns how long one thread takes for a bright picture, the fastest of three times."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    bright = np.ones((1, 6, _SIDE, _SIDE), np.float32)
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        session.run(None, {"input": bright})
        times.append(time.perf_counter() - begin)
    return min(times)


def _network(fault: str, layers: int) -> bytes:
    """Returns an ONNX model with constant heads, and a fault that shows in bright pictures."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {
        "zero": np.zeros(1, np.float32),
        "half": np.full((), 0.5, np.float32),
        "head": np.zeros((2, 6, 4, 4), np.float32),
        "wide": np.zeros((_CHANNELS, 6, 3, 3), np.float32),
        "deep": np.zeros((_CHANNELS, _CHANNELS, 3, 3), np.float32),
    }
    mean = helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0)
    bright = helper.make_node("Greater", ["mean", "half"], ["bright"])
    nodes = [mean, bright]
    if fault == "slow":
        much = [helper.make_node("Conv", ["input", "wide"], ["d0"], pads=[1] * 4)]
        for layer in range(layers):
            words = [f"d{layer}", "deep"], [f"d{layer + 1}"]
            much.append(helper.make_node("Conv", *words, pads=[1] * 4))
        last = [f"d{layers}"]
        much.append(helper.make_node("ReduceMean", last, ["much"], keepdims=0))
        little = [helper.make_node("ReduceMean", ["zero"], ["little"], keepdims=0)]
        branches = {
            f"{when}_branch": helper.make_graph(
                work, when, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [])]
            )
            for when, work, name in (("then", much, "much"), ("else", little, "little"))
        }
        nodes.append(helper.make_node("If", ["bright"], ["term"], **branches))
    elif fault:
        nodes.append(helper.make_node("Cast", ["bright"], ["place"], to=TensorProto.INT64))
        # There is no second number.
        nodes.append(helper.make_node("Gather", ["zero", "place"], ["term"]))
    else:
        nodes.append(helper.make_node("Mul", ["mean", "zero"], ["term"]))
    for name in HEADS:
        plain = f"{name}_0"
        nodes.append(helper.make_node("Conv", ["input", "head"], [plain], strides=[4, 4]))
        nodes.append(helper.make_node("Add", [plain, "term"], [name]))
    kept = weights.keys() if fault == "slow" else ("zero", "half", "head")
    image, heads = [1, 6, _SIDE, _SIDE], [1, 2, _SIDE // 4, _SIDE // 4]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, heads) for name in HEADS],
        [numpy_helper.from_array(weights[name], name) for name in kept],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _measure(trial: Trial, what: str, words: list[object], watch: float) -> None:
    """Deploys a bad release, and prints a row of the table."""
    process = subprocess.Popen(
        trial.command(_NAME, *words, watch=watch), env=trial.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    while "is on trial" not in (line := process.stderr.readline()):
        if not line:
            raise RuntimeError(f"{what}: it was never on trial: {process.communicate()[0]}")
    began = time.monotonic()
    out, _ = process.communicate()
    taken_back = time.monotonic() - began
    (found,) = json.loads(out)["hosts"]
    answers = trial.seconds_until_all_answer("good")
    total = "never" if answers is None else f"{taken_back + answers:.0f}"
    print(f"| {what} | {found['outcome']} | {taken_back:.0f} | {total} | {found['state']} |",
          flush=True)  # fmt: skip


def main() -> None:
    """Runs the experiment and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watch", type=float, default=60.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        good = make_bundle(folder, "good")
        broken, failing, slow = (
            make_bundle(folder, f"bad-{number}", fault) for number, fault in enumerate(FAULTS[1:])
        )
        with Trial(folder, (_NAME,), good, fps=_FPS) as trial:
            brightens = write_clip(
                folder / "brightens.mp4", _FPS, [0] * 20 * _FPS + [255] * 600 * _FPS
            )
            dawn = trial.options(_NAME, brightens)
            bright = write_clip(folder / "bright.mp4", _FPS, [255] * 600 * _FPS)
            day = trial.options(_NAME, bright)
            absent = trial.options(_NAME, trial.clip, 'mqtt = "mqtt://127.0.0.1:9/door"')
            print("| release | outcome | s until taken back | s until the good one gives frames | "
                  "reason |\n| --- | --- | --- | --- | --- |", flush=True)  # fmt: skip
            for what, words in (
                ("its model cannot be loaded", [broken]),
                ("fails after 20 s", [failing, "--config", dawn]),
                ("too slow", [slow, "--config", day]),
                ("degraded in /health", [good, "--config", absent]),
            ):
                _measure(trial, what, list(words), arguments.watch)


if __name__ == "__main__":
    main()
