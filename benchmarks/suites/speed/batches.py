"""Measures whether batches of frames are cheaper than single frames.

They are not, so the sources of a run take turns on the model instead.

Run it as ``python -m edgekit.benchmarks.suites.speed.batches``; it needs the extra ``host``. It
runs the shipped models with a batch of one, two and four frames, in turn, and prints the CPU time
per frame. All run on ONNX Runtime with one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.assets import default_bundle
from edgekit.measuring.timing import machine
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.muted_output import muted

__all__ = ["main", "with_batch"]

_BATCHES = (1, 2, 4)
_ROUNDS = 40


def with_batch(model: Path, frames: int) -> bytes:
    """Returns an ONNX model for one frame as a model for a batch of frames.

    Args:
        model: Model whose inputs and outputs have the batch as their first dimension.
        frames: Batch size, at least 1.
    """
    import onnx

    changed = onnx.load(model)
    del changed.graph.value_info[:]
    for value in (*changed.graph.input, *changed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = frames
    found: bytes = changed.SerializeToString()
    return found


def _session(model: bytes) -> Any:
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with muted():
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Prints a line for each shipped model."""
    argparse.ArgumentParser(description="Compares batches of frames with single ones.").parse_args()
    print(f"{machine()}\n\nONNX Runtime, 1 thread, medians of {_ROUNDS}\n")
    print("| model | " + " | ".join(f"{count} in a batch, ms a frame" for count in _BATCHES) + " |")
    print("| --- |" + " --- |" * len(_BATCHES))
    random = np.random.default_rng(1)
    for precision in ("int8", "fp32"):
        model = default_bundle(precision=precision) / "model.onnx"
        sessions = {count: _session(with_batch(model, count)) for count in _BATCHES}
        (given,) = sessions[1].get_inputs()
        times: dict[int, list[float]] = {count: [] for count in _BATCHES}
        for number in range(_ROUNDS + 3):
            for count, session in sessions.items():
                frames = random.random((count, *given.shape[1:]), np.float32)
                begin = time.process_time()
                session.run(None, {given.name: frames})
                if number >= 3:
                    times[count].append((time.process_time() - begin) / count)
        row = " | ".join(f"{1e3 * statistics.median(found):.2f}" for found in times.values())
        print(f"| {precision} | {row} |", flush=True)


if __name__ == "__main__":
    main()
