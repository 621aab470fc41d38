"""The report of ``edgekit quantize``: a float bundle and the one of integers, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgekit.benchmarks.timing import interleaved, machine
from edgekit.bundle import Bundle, RoundingCheck
from edgekit.detector import Detector
from edgekit.errors import MissingDependencyError
from edgekit.quantization.build import Quantized
from edgekit.quantization.search import damage
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import TARGETS

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["LatencyRow", "RoundingReport", "compare_latency", "report", "tables"]

_LONGEST_NAME = 60
_SHOWN_LAYERS = 10


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one inference takes on one runtime: medians, in turn, and INT8's share of float's."""

    runtime: str
    version: str
    arithmetic: str
    threads: int
    float_ms: float
    int8_ms: float
    ratio: float


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that can be quantized, and what it costs where it alone is, if that was measured."""

    name: str
    kind: str
    macs: int
    float: bool
    alone: RoundingCheck | None = None


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One try of the search: how many layers stayed float, and the loss."""

    kept: tuple[str, ...]
    drop: float
    agreement: float


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
        max_drop: Points of frame-mAP that were allowed.
        steps: What was tried; the last is what was written.
        layers: In the order of computation.
        latency: On each runtime that is installed.
        video_map: Video-mAP at 0.5 of the float and the new model, where there are annotations.
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
    latency: tuple[LatencyRow, ...]
    video_map: tuple[float, float] | None
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
    *,
    video_map: tuple[float, float] | None = None,
) -> RoundingReport:
    """Puts together what is known of a quantized bundle.

    Args:
        made: What quantizing came to.
        float_bundle: What it was made from.
        latency: As measured by ``compare_latency``.
        video_map: At 0.5, of the float and the new model.
    """
    manifest = made.bundle.manifest
    assert manifest.quantization is not None
    kept = made.steps[-1].kept
    return RoundingReport(
        bundle=str(made.bundle.path),
        name=manifest.name,
        target=manifest.target,
        method=manifest.quantization.method,
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
                kind=layer.kind,
                macs=layer.macs,
                float=layer.name in kept,
                alone=made.sensitivity.get(layer.name),
            )
            for layer in made.layers
        ),
        latency=tuple(latency),
        video_map=video_map,
        warnings=tuple(_warnings(manifest.target, latency)),
        machine=machine(),
    )


def tables(found: RoundingReport) -> list[Table | str]:
    """The report for a terminal, as what a rich console prints."""
    parts: list[Table | str] = [_summary(found)]
    if len(found.steps) > 1:
        parts.append(_steps(found))
    if any(layer.alone for layer in found.layers):
        parts.append(_sensitivity(found))
    kept = [_short(layer.name) for layer in found.layers if layer.float]
    if kept:
        parts.append(f"Float: {', '.join(kept)}")
    return [*parts, *found.warnings, found.machine]


def _summary(found: RoundingReport) -> Table:
    from rich.table import Table

    check = found.check
    title = f"{found.name} for {found.target}, {found.method}, {found.samples} samples"
    table = Table("", "float", "INT8", "INT8 of float", title=title)
    sizes = found.float_bytes / 1e6, found.int8_bytes / 1e6
    table.add_row("size", *(f"{size:.1f} MB" for size in sizes), f"{sizes[1] / sizes[0]:.2f}")
    for row in found.latency:
        times = (f"{time:.1f} ms" for time in (row.float_ms, row.int8_ms))
        table.add_row(
            f"{row.runtime}, {row.arithmetic}, threads: {row.threads}", *times, f"{row.ratio:.2f}"
        )
    truth = "" if check.annotated else " of float's own"
    maps = (f"{100 * value:.2f}" for value in (check.float_map, check.frame_map))
    table.add_row(f"frame-mAP@0.5{truth}, {check.frames} frames", *maps, f"{-check.drop:+.2f}")
    if found.video_map:
        before, after = (100 * value for value in found.video_map)
        table.add_row("video-mAP@0.5", f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}")
    table.add_row("detections over 0.3 that agree", "", f"{check.agreement:.1%}", "")
    for head, decibels in check.sqnr.items():
        table.add_row(f"{head}, signal to noise", "", f"{decibels:.1f} dB", "")
    return table


def _steps(found: RoundingReport) -> Table:
    from rich.table import Table

    table = Table("layers in float", "points lost", "detections that agree")
    for step in found.steps:
        table.add_row(str(len(step.kept)), f"{step.drop:.2f}", f"{step.agreement:.1%}")
    return table


def _sensitivity(found: RoundingReport) -> Table:
    from rich.table import Table

    measured = [(layer, layer.alone) for layer in found.layers if layer.alone]
    measured.sort(key=lambda pair: -damage(pair[1]))
    heads = list(measured[0][1].sqnr)
    title = f"the {_SHOWN_LAYERS} most sensitive layers, each quantized alone"
    table = Table("layer", "MMAC", *(f"{head}, dB" for head in heads), "agree", title=title)
    for layer, check in measured[:_SHOWN_LAYERS]:
        decibels = (f"{check.sqnr[head]:.1f}" for head in heads)
        name, work = _short(layer.name), f"{layer.macs / 1e6:.1f}"
        table.add_row(name, work, *decibels, f"{check.agreement:.1%}")
    return table


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


def _short(name: str) -> str:
    """A name that fits a table: TFLite's have 200 characters."""
    name = re.sub(r"\s+", " ", name)
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
