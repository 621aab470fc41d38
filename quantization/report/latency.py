"""Times a float and an INT8 bundle on the runtimes of this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from edgekit.bundle import Bundle
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError
from edgekit.measuring.timing import interleaved
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import TARGETS, session_class

__all__ = ["LatencyRow", "compare_latency"]

_LOG = logging.getLogger(__name__)


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """Median time of one inference on one runtime, float and INT8, and INT8's share of float's."""

    runtime: str
    version: str
    arithmetic: str
    threads: int
    float_ms: float
    int8_ms: float
    ratio: float


def compare_latency(float_bundle: Bundle, int8: Bundle, *, repeats: int = 30) -> list[LatencyRow]:
    """Times both bundles, on one thread, on every runtime here of their target but simulators.

    A runtime that cannot run them, for lack of memory for example, is left out with a warning.

    Args:
        float_bundle: Float bundle, run in true float32 if the runtime has a choice.
        int8: INT8 bundle of the same target.
        repeats: Number of measured calls of each bundle, in turn.
    """
    rows = []
    target = int8.manifest.target
    for runtime in TARGETS[target].runtimes:
        session = session_class(target, runtime)
        try:
            session.check_machine()
        except EdgeKitError:
            continue  # it does not run here
        if session.simulator:
            continue  # its time says nothing about the hardware
        options = SessionOptions(runtime=runtime, threads=1)
        try:
            with (
                Detector(float_bundle, options=options) as before,
                Detector(int8, options=options) as after,
            ):
                ways = {"float": _inference(before), "int8": _inference(after)}
                medians = interleaved(ways, repeats=repeats, warm_up=5)
                described = before.session.describe()
        except EdgeKitError as error:  # the bundle is written, and its report is worth more
            _LOG.warning("The latency on %s was not measured: %s", runtime, error.message)
            continue
        rows.append(
            LatencyRow(
                runtime=runtime,
                version=described["version"],
                arithmetic=described["arithmetic"],
                threads=1,
                float_ms=1e3 * medians["float"],
                int8_ms=1e3 * medians["int8"],
                ratio=medians["int8"] / medians["float"],
            )
        )
    return rows


def _inference(detector: Detector) -> Callable[[], Any]:
    size = (detector.bundle.manifest.input.height, detector.bundle.manifest.input.width, 3)
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    inputs, _ = detector.prepare(noise)
    return lambda: detector.infer(inputs)
