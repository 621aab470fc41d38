"""Measures what a session adds to its inference runtime: EdgeKit's ``infer`` against a bare loop.

Run it as ``python -m edgekit.benchmarks.suites.speed.sessions [BUNDLE...]``. The bare loop is the
same model with the same options on the runtime's own API. For OpenVINO its ``benchmark_app`` is
added, which measures inference alone. They run in turn, in blocks of calls, so that each finds its
weights in the caches. Inputs are noise; the default is the shipped bundle on one thread.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.assets import default_bundle
from edgekit.bundle import Bundle
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError, UsageError
from edgekit.measuring.timing import interleaved, machine
from edgekit.runtime.types import Array
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.base import SessionOptions
from edgekit.targets.openvino.importing import import_openvino

__all__ = ["main"]

Inputs = dict[str, Array]


def _onnxruntime(bundle: Bundle, inputs: Inputs, threads: int, _: str) -> Callable[[], object]:
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        bundle.model_path, options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, inputs)


def _openvino(
    bundle: Bundle, inputs: Inputs, threads: int, arithmetic: str
) -> Callable[[], object]:
    openvino = import_openvino("Comparing")

    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": _hint(arithmetic),
    }
    model = openvino.Core().compile_model(bundle.model_path, "CPU", config)
    request = model.create_infer_request()
    for name, value in inputs.items():
        request.set_tensor(name, openvino.Tensor(value, shared_memory=True))

    def loop() -> object:
        request.infer()
        return [request.get_output_tensor(i).data.copy() for i in range(len(model.outputs))]

    return loop


def _hint(arithmetic: str) -> str:
    """Returns the arithmetic to request, so that it matches what a session reports."""
    return next((name for name in arithmetic.split(", ") if name in ("bf16", "f16")), "f32")


def _tflite(bundle: Bundle, inputs: Inputs, threads: int, _: str) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(bundle.model_path), num_threads=threads)
    interpreter.allocate_tensors()
    places = interpreter.get_input_details()
    values = [
        value.reshape(place["shape"]) for value, place in zip(inputs.values(), places, strict=True)
    ]
    outputs = [place["index"] for place in interpreter.get_output_details()]

    def loop() -> object:
        for place, value in zip(places, values, strict=True):
            interpreter.set_tensor(place["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return loop


def _ncnn(bundle: Bundle, inputs: Inputs, threads: int, arithmetic: str) -> Callable[[], object]:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
        setattr(net.opt, name, "fp16" in arithmetic)
    net.load_param(str(bundle.model_path))
    net.load_model(str(bundle.model_path.with_suffix(".bin")))
    values = {name: np.ascontiguousarray(value[0]) for name, value in inputs.items()}
    outputs = [spec.name for spec in bundle.manifest.outputs]

    def loop() -> object:
        extractor = net.create_extractor()
        for name, value in values.items():
            extractor.input(name, ncnn.Mat(value))
        return [np.array(extractor.extract(name)[1]) for name in outputs]

    return loop


_BARE: dict[str, Callable[[Bundle, Inputs, int, str], Callable[[], object]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "tflite": _tflite,
    "ncnn": _ncnn,
}


def _benchmark_app(bundle: Bundle, threads: int, arithmetic: str, repeats: int) -> float:
    """Returns the median seconds that OpenVINO's own tool measures."""
    settings = {"m": bundle.model_path, "d": "CPU", "api": "sync", "hint": "none"}
    settings |= {"nthreads": threads, "infer_precision": _hint(arithmetic), "niter": repeats}
    options = [part for name, value in settings.items() for part in (f"-{name}", str(value))]
    code = "import sys; from openvino.tools.benchmark.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *options],
        env={**os.environ, "CI": "true"},  # disables its telemetry
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    if found is None:
        raise SystemExit(done.stdout[-500:] + done.stderr[-500:])
    return float(found[1]) / 1e3


def _measure(path: Path, arguments: Any) -> None:
    threads, repeats = arguments.threads, arguments.repeats
    with Detector(path, options=SessionOptions(threads=threads)) as detector:
        bundle, session = detector.bundle, detector.session
        described = session.describe()
        arithmetic = described["arithmetic"]
        size = (bundle.manifest.input.height, bundle.manifest.input.width, 3)
        image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        inputs, _ = detector.prepare(image)
        ways: dict[str, Callable[[], float]] = {}

        def timed(name: str, way: Callable[[], object]) -> None:
            ways[name] = lambda: interleaved({name: way}, repeats=repeats, warm_up=5)[name]

        timed("edgekit", lambda: session.infer(inputs))
        if session.runtime not in _BARE:
            raise UsageError(f"{path.name} runs on {session.runtime}, which has no bare loop here.")
        timed("bare loop", _BARE[session.runtime](bundle, inputs, threads, arithmetic))
        if session.runtime == "openvino":
            ways["benchmark_app"] = lambda: _benchmark_app(bundle, threads, arithmetic, repeats)
        rounds = [{name: way() for name, way in ways.items()} for _ in range(arguments.rounds)]
    print(f"{bundle.path.name}, {session.runtime} {described['version']}, {arithmetic}")
    ours = statistics.median(found["edgekit"] for found in rounds)
    for name in ways:
        median = statistics.median(found[name] for found in rounds)
        print(f"  {name:<14}{median * 1e3:>9.3f} ms{ours / median:>8.3f}")


def main() -> None:
    """Prints the median milliseconds per call, and the ratio of EdgeKit's to each."""
    parser = argparse.ArgumentParser(description="Compares sessions with bare runtimes.")
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50, help="number of calls per block")
    parser.add_argument(
        "--rounds", type=int, default=7, help="number of blocks per method, in turn"
    )
    arguments = parser.parse_args()
    print(f"{machine()}, {arguments.threads} threads; last column: edgekit/this")
    for path in arguments.bundles or [default_bundle(precision="fp32")]:
        try:
            _measure(path, arguments)
        except EdgeKitError as error:
            raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
