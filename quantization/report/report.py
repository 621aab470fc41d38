"""Builds the report of ``edgekit quantize``: float and INT8 bundle side by side."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgekit._parameters import parameter
from edgekit._printable import plural
from edgekit.bundle import Bundle, RoundingCheck, TubeCheck
from edgekit.measuring.timing import machine
from edgekit.quantization.base import Reading
from edgekit.quantization.build import Quantized
from edgekit.quantization.registry import quantizer
from edgekit.quantization.report.latency import LatencyRow
from edgekit.quantization.rounding.ranges import rounding_noise

__all__ = ["ActivationRow", "LayerRow", "RoundingReport", "StepRow", "report"]

_BINS = 64
_BY_SEARCH = "kept in float by the search, because of its own loss"


class ActivationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Distribution of a layer's input during calibration.

    Attributes:
        tensor: Name of the input tensor.
        low: Smallest value.
        high: Largest value.
        counts: Number of values in each of 64 bins of equal width, from ``low`` to ``high``.
        rounded_low: Smallest value that the integers represent.
        rounded_high: Largest value that the integers represent.
        sqnr: Signal-to-noise ratio of rounding the values, in decibels.
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
        name: Name in the model file.
        label: Label for display; ``--keep-float`` accepts either.
        kind: Type of its operator.
        macs: Number of multiply-accumulate operations for one picture.
        float: Whether it stayed float.
        alone: Loss if only this layer is quantized; None if not measured.
        reads: Distribution of its input; None if unknown.
    """

    name: str
    label: str
    kind: str
    macs: int
    float: bool
    alone: RoundingCheck | None = None
    reads: ActivationRow | None = None


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of the search: the layers that stayed float, and the loss of frame-mAP."""

    kept: tuple[str, ...]
    drop: float
    agreement: float


# Many attributes: it mirrors the fields of the report's JSON file, one for one.
class RoundingReport(msgspec.Struct, frozen=True, kw_only=True):
    """The complete report on a quantized bundle.

    Attributes:
        schema: Version of the report's schema.
        bundle: Path of the bundle.
        name: Name of the model.
        target: Target of the bundle.
        method: Method that chose the ranges.
        samples: Number of calibration frames.
        float_bytes: Size of the float bundle's files, in bytes.
        int8_bytes: Size of the INT8 bundle's files, in bytes.
        check: Loss of the INT8 bundle.
        max_drop: Largest accepted loss of frame-mAP, as a share.
        steps: Attempts in order; the last one was written.
        layers: Layers in the order of computation.
        left_float: Reason for each part that stays float, by name; layers by their label.
        latency: Latency on each installed runtime.
        video_map: Video-mAP at 0.5 of the float and the INT8 model; null if there were no tubes.
        tubes: Comparison of the tubes; null if there was none.
        warnings: Sentences that the reader should not miss.
        machine: Machine of all measurements.
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
    warnings: tuple[str, ...]
    machine: str


def report(
    made: Quantized,
    float_bundle: Bundle,
    latency: Sequence[LatencyRow],
) -> RoundingReport:
    """Builds the report on a quantized bundle.

    Args:
        made: Result of the quantization.
        float_bundle: Float bundle that it was made from.
        latency: Latencies from ``compare_latency``.
    """
    manifest = made.bundle.manifest
    assert manifest.quantization is not None
    method = manifest.quantization.method
    kept, named = made.steps[-1].kept, made.steps[0].kept
    tool = quantizer(manifest.target)
    readings = tool.readings(float_bundle, made.statistics, method)
    given_back = {
        layer.shown: f"named by {parameter('keep_float')}" if layer.name in named else _BY_SEARCH
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
        warnings=(*_warnings(manifest.target, latency), *_lost_tubes(made)),
        machine=machine(),
    )


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


def _warnings(target: str, latency: Sequence[LatencyRow]) -> list[str]:
    slow = [row for row in latency if row.ratio > 1]
    return [
        f"On this machine INT8 is slower than float on {row.runtime}: {row.ratio:.2f} of its time."
        for row in slow
    ] + ([] if latency else [f"Nothing was timed: no runtime for {target} runs here."])


def _lost_tubes(made: Quantized) -> list[str]:
    """Returns a warning if video-mAP fell by more than the bound or there were no tubes."""
    if made.tubes is None:
        return ["Video-mAP was not measured: the ground truth has no tube."]
    if made.tubes.drop <= made.max_drop:
        return []
    return [
        f"Video-mAP@0.5 is {made.tubes.drop:.4f} lower than that of the float model, on "
        f"{made.tubes.tubes} {plural('tube', made.tubes.tubes)}. "
        f"{parameter('max_drop')} bounds the loss of frame-mAP alone."
    ]
