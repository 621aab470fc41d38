"""The report of ``edgekit quantize``: a float bundle and the one of integers, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from edgekit.benchmarks.timing import interleaved, machine
from edgekit.bundle import Bundle, FineTuning, RoundingCheck, TubeCheck
from edgekit.detector import Detector
from edgekit.errors import MissingDependencyError
from edgekit.quantization.base import Reading
from edgekit.quantization.build import Quantized
from edgekit.quantization.ranges import rounding_noise
from edgekit.quantization.registry import quantizer
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import TARGETS

__all__ = [
    "ActivationRow",
    "LatencyRow",
    "LayerRow",
    "RoundingReport",
    "StepRow",
    "TuningRow",
    "compare_latency",
    "report",
]

_BINS = 64
_NAMED = "named by --keep-float"
_GIVEN_BACK = "given back by the search, for what it alone loses"


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one inference takes on one runtime: medians, in turn, and INT8's share of float's."""

    runtime: str
    version: str
    arithmetic: str
    threads: int
    float_ms: float
    int8_ms: float
    ratio: float


class ActivationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer reads, as calibration saw it.

    Attributes:
        tensor: Its name.
        low: The smallest value.
        high: The largest.
        counts: Of values in 64 bins of equal width from ``low`` to ``high``.
        rounded_low: The smallest that integers stand for.
        rounded_high: The largest.
        sqnr: Of the values to what rounding them does, in decibels.
    """

    tensor: str
    low: float
    high: float
    counts: tuple[int, ...]
    rounded_low: float
    rounded_high: float
    sqnr: float


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that can be quantized.

    Attributes:
        name: As the model file has it.
        label: For people; ``--keep-float`` takes either.
        kind: Its operator.
        macs: Multiplications with addition for one picture.
        float: Whether it stayed float.
        alone: What it costs where it alone is of integers, if that was measured.
        reads: What it works on, where that is known.
    """

    name: str
    label: str
    kind: str
    macs: int
    float: bool
    alone: RoundingCheck | None = None
    reads: ActivationRow | None = None


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One try of the search: which layers stayed float, and the loss of frame-mAP as a share."""

    kept: tuple[str, ...]
    drop: float
    agreement: float


class TuningRow(msgspec.Struct, frozen=True, kw_only=True):
    """What fine-tuning gave.

    Attributes:
        record: How it went, and whether its weights were taken.
        without: The loss of INT8 with the weights as they came.
        tuned: With the fine-tuned ones; null where none were better on what was held out.
    """

    record: FineTuning
    without: RoundingCheck
    tuned: RoundingCheck | None


class RoundingReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said of a quantized bundle.

    Attributes:
        schema: Of this report.
        bundle: Where it is.
        name: Of the model.
        target: Of the bundle.
        method: By which ranges were chosen.
        samples: Frames that it was calibrated with.
        float_bytes: Size of the float bundle's files.
        int8_bytes: Size of the new one's.
        check: The loss.
        max_drop: Largest loss of frame-mAP that was allowed, as a share.
        steps: What was tried; the last is what was written.
        layers: In the order of computation.
        left_float: Of what is float the name and why; layers by their label.
        latency: On each runtime that is installed.
        video_map: Video-mAP at 0.5 of the float and the new model; null where there were no tubes.
        tubes: How that was judged.
        fine_tuning: What it gave, where it was asked for.
        warnings: What the reader should not miss.
        machine: That all this was measured on.
    """

    schema: int = 1
    bundle: str
    name: str
    target: str
    method: str
    samples: int
    float_bytes: int
    int8_bytes: int
    check: RoundingCheck
    max_drop: float
    steps: tuple[StepRow, ...]
    layers: tuple[LayerRow, ...]
    left_float: dict[str, str]
    latency: tuple[LatencyRow, ...]
    video_map: tuple[float, float] | None
    tubes: TubeCheck | None
    fine_tuning: TuningRow | None
    warnings: tuple[str, ...]
    machine: str


def compare_latency(
    float_bundle: Bundle, int8: Bundle, *, threads: int = 1, repeats: int = 30
) -> list[LatencyRow]:
    """Times both bundles on every runtime of their target that is installed.

    Args:
        float_bundle: In true float32 where the runtime has a choice.
        int8: Of the same target.
        threads: To compute with.
        repeats: Counted calls of each, in turn.
    """
    rows = []
    for runtime in TARGETS[int8.manifest.target].runtimes:
        options = SessionOptions(runtime=runtime, threads=threads)
        try:
            with (
                Detector(float_bundle, options=options) as before,
                Detector(int8, options=options) as after,
            ):
                ways = {"float": _inference(before), "int8": _inference(after)}
                medians = interleaved(ways, repeats=repeats, warm_up=5)
                described = before.session.describe()
        except MissingDependencyError:
            continue
        rows.append(
            LatencyRow(
                runtime=runtime,
                version=described["version"],
                arithmetic=described["arithmetic"],
                threads=threads,
                float_ms=1e3 * medians["float"],
                int8_ms=1e3 * medians["int8"],
                ratio=medians["int8"] / medians["float"],
            )
        )
    return rows


def report(
    made: Quantized,
    float_bundle: Bundle,
    latency: Sequence[LatencyRow],
) -> RoundingReport:
    """Puts together what is known of a quantized bundle.

    Args:
        made: What quantizing came to.
        float_bundle: What it was made from.
        latency: As measured by ``compare_latency``.
    """
    manifest = made.bundle.manifest
    assert manifest.quantization is not None
    method = manifest.quantization.method
    kept, named = made.steps[-1].kept, made.steps[0].kept
    tool = quantizer(manifest.target)
    readings = tool.readings(float_bundle, made.statistics, method)
    given_back = {
        layer.shown: _NAMED if layer.name in named else _GIVEN_BACK
        for layer in made.layers
        if layer.name in kept
    }
    return RoundingReport(
        bundle=str(made.bundle.path),
        name=manifest.name,
        target=manifest.target,
        method=method,
        samples=manifest.quantization.samples,
        float_bytes=float_bundle.size,
        int8_bytes=made.bundle.size,
        check=made.check,
        max_drop=made.max_drop,
        steps=tuple(
            StepRow(
                kept=tuple(sorted(step.kept)), drop=step.check.drop, agreement=step.check.agreement
            )
            for step in made.steps
        ),
        layers=tuple(
            LayerRow(
                name=layer.name,
                label=layer.shown,
                kind=layer.kind,
                macs=layer.macs,
                float=layer.name in kept,
                alone=made.sensitivity.get(layer.name),
                reads=_row(readings[layer.name]) if layer.name in readings else None,
            )
            for layer in made.layers
        ),
        left_float=given_back | tool.left_float(float_bundle, made.io),
        latency=tuple(latency),
        video_map=(made.tubes.float_map, made.tubes.video_map) if made.tubes else None,
        tubes=made.tubes,
        fine_tuning=_tuning(made),
        warnings=(*_warnings(manifest.target, latency), *_lost_tubes(made)),
        machine=machine(),
    )


def _tuning(made: Quantized) -> TuningRow | None:
    if made.tuning is None:
        return None
    found = made.tuning
    return TuningRow(record=found.record, without=found.without, tuned=found.tuned)


def _row(reading: Reading) -> ActivationRow:
    seen = reading.seen
    inside = seen.centres.clip(seen.low, seen.high)
    counts, _ = np.histogram(inside, _BINS, (seen.low, seen.high), weights=seen.counts)
    return ActivationRow(
        tensor=reading.tensor,
        low=seen.low,
        high=seen.high,
        counts=tuple(counts.astype(int).tolist()),
        rounded_low=reading.low,
        rounded_high=reading.high,
        sqnr=rounding_noise(seen, reading.low, reading.high),
    )


def _inference(detector: Detector) -> Callable[[], Any]:
    size = (detector.bundle.manifest.input.height, detector.bundle.manifest.input.width, 3)
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    inputs, _ = detector.prepare(noise)
    return lambda: detector.infer(inputs)


def _warnings(target: str, latency: Sequence[LatencyRow]) -> list[str]:
    slow = [row for row in latency if row.ratio > 1]
    return [
        f"On this machine INT8 is slower than float on {row.runtime}: {row.ratio:.2f} of its time."
        for row in slow
    ] + ([] if latency else [f"Nothing was timed: no runtime for {target} is installed."])


def _lost_tubes(made: Quantized) -> list[str]:
    """Says so where video-mAP fell by more than frame-mAP may, or was not judged."""
    if made.tubes is None:
        return ["Video-mAP was not judged: there is no tube in what was judged by."]
    if made.tubes.drop <= made.max_drop:
        return []
    return [
        f"Video-mAP@0.5 is {made.tubes.drop:.4f} lower than that of the float model, on "
        f"{made.tubes.tubes} tubes. --max-drop bounds the loss of frame-mAP alone."
    ]
