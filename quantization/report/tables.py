"""Turns the report of ``edgekit quantize`` into tables, for a terminal and a page."""

from __future__ import annotations

import re

from edgekit._printable import plural
from edgekit.bundle import RoundingCheck
from edgekit.quantization.report.report import LayerRow, RoundingReport
from edgekit.quantization.search import damage
from edgekit.reporting.grid import Grid

__all__ = [
    "by_damage",
    "left_float",
    "one_line",
    "sensitivity",
    "steps",
    "summary",
    "terminal",
]

_SHOWN_LAYERS = 10
_BAR = 6


def summary(found: RoundingReport) -> Grid:
    """Returns the comparison of float and INT8."""
    check = found.check
    sizes = found.float_bytes / 1e6, found.int8_bytes / 1e6
    rows = [["size", *(f"{size:.2f} MB" for size in sizes), f"{sizes[1] / sizes[0]:.3f}"]]
    for row in found.latency:
        times = (f"{time:.2f} ms" for time in (row.float_ms, row.int8_ms))
        what = f"{row.runtime} {row.version}, float in {row.arithmetic}, threads: {row.threads}"
        rows.append([what, *times, f"{row.ratio:.2f}"])
    truth = "" if check.annotated else " of float's own"
    maps = _shares(check.float_map, check.frame_map)
    frames = f"{check.frames} {plural('frame', check.frames)}"
    rows.append([f"frame-mAP@0.5{truth}, {frames}", *maps])
    if found.tubes:
        truth = "" if found.tubes.annotated else " of float's own"
        count = found.tubes.tubes
        name = f"video-mAP@0.5{truth}, {count} {plural('tube', count)}"
        rows.append([name, *_shares(found.tubes.float_map, found.tubes.video_map)])
    rows.append(
        ["share of detections over 0.3 found again, at any score", "", f"{check.agreement:.3f}", ""]
    )
    rows += [
        [f"{head}, signal to noise", "", f"{decibels:.1f} dB", ""]
        for head, decibels in check.sqnr.items()
    ]
    title = (
        f"float against INT8: {found.name} for {found.target}, {found.method} of "
        f"{found.samples} samples"
    )
    return Grid(title, ["", "float", "INT8", "INT8 of float"], rows, wrapped=(0,))


def steps(found: RoundingReport) -> Grid:
    """Returns the attempts; the last one was written."""
    rows = [
        [
            str(len(step.kept)),
            f"{step.drop:.4f}",
            "holds" if step.drop <= found.max_drop else "too much",
            f"{step.agreement:.3f}",
        ]
        for step in found.steps
    ]
    title = f"trials; frame-mAP may fall by {found.max_drop:g} at most"
    return Grid(title, ["layers in float", "frame-mAP lost", "", "detections that agree"], rows, 0)


def left_float(found: RoundingReport) -> Grid:
    """Returns what stayed float, with its share of the multiplications if it can be quantized."""
    total = sum(layer.macs for layer in found.layers) or 1
    shares = {layer.label: f"{layer.macs / total:.1%}" for layer in found.layers}
    rows = [[one_line(name), why, shares.get(name, "")] for name, why in found.left_float.items()]
    return Grid("what stayed float, and why", ["", "", "of the multiplications"], rows, 2)


def by_damage(found: RoundingReport) -> list[tuple[LayerRow, RoundingCheck]]:
    """Returns the layers that were measured alone, the most sensitive first."""
    measured = [(layer, layer.alone) for layer in found.layers if layer.alone]
    return sorted(measured, key=lambda pair: -damage(pair[1]))


def sensitivity(found: RoundingReport, most: int | None = None) -> Grid:
    """Returns the loss of each layer when only that layer is quantized.

    Args:
        found: Report with measured layers.
        most: Largest number of layers to list; by default all.
    """
    measured = by_damage(found)
    heads = list(measured[0][1].sqnr)
    worst = damage(measured[0][1]) or 1.0
    rows = [
        [
            one_line(layer.label),
            f"{layer.macs / 1e6:.1f}",
            *(f"{check.sqnr[head]:.1f}" for head in heads),
            f"{check.agreement:.3f}",
            "█" * round(_BAR * damage(check) / worst),
        ]
        for layer, check in measured[:most]
    ]
    title = "loss with only one layer quantized"
    if most is not None and len(measured) > most:
        title += f": the {most} worst of {len(measured)}"
    return Grid(title, ["layer", "MMAC", *(f"{h}, dB" for h in heads), "agree", "damage"], rows)


def one_line(name: str) -> str:
    """Returns a layer's full name without line breaks, ready for --keep-float."""
    return re.sub(r"\s+", " ", name)


def terminal(found: RoundingReport, *, every_layer: bool = False) -> list[Grid | str]:
    """Returns the report as tables and lines for a terminal.

    Args:
        found: Report to show.
        every_layer: Whether to list all measured layers, not only the worst.
    """
    parts: list[Grid | str] = [summary(found)]
    if len(found.steps) > 1:
        parts.append(steps(found))
    if any(layer.alone for layer in found.layers):
        parts.append(sensitivity(found, None if every_layer else _SHOWN_LAYERS))
    if found.left_float:
        parts.append(f"Float: {', '.join(map(one_line, found.left_float))}")
    return [*parts, *found.warnings, found.machine]


def _shares(before: float, after: float) -> list[str]:
    return [f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}"]
