"""Writes the report of ``edgekit quantize`` as one self-contained HTML page."""

from __future__ import annotations

import base64
from html import escape

import cv2
import numpy as np
import numpy.typing as npt

from edgekit._parameters import parameter
from edgekit.quantization.report.charts import histograms, ranges, sensitivity
from edgekit.quantization.report.report import ActivationRow, LayerRow, RoundingReport
from edgekit.quantization.report.tables import by_damage, left_float, steps, summary
from edgekit.reporting.html import document, notes, table

__all__ = ["to_html"]

_WORST = 12
_STYLE = """
.band { fill: transparent; } .row:hover .band { fill: var(--rule); }
.dotted { stroke: var(--page); stroke-width: 1.5; } .span { fill: var(--rule); }
.cutoff { fill: var(--soft); } img { max-width: 100%; height: auto; border-radius: 6px; }
td.word { white-space: normal; }
"""


def to_html(found: RoundingReport, sheet: npt.NDArray[np.uint8]) -> str:
    """Returns the page, light or dark according to the reader's system.

    Args:
        found: Report to show.
        sheet: Picture of the calibration frames, (H, W, 3) uint8, BGR.
    """
    body = [
        "<h1>edgekit quantize</h1>",
        f"<p>{escape(found.bundle)}</p>",
        f"<p>{escape(found.machine)}</p>",
        notes(found.warnings),
        table(summary(found)),
        table(left_float(found)) if found.left_float else "",
        table(steps(found)),
        *_sensitivity(found),
        *_activations(found),
        *_sheet(found, sheet),
    ]
    return document(f"edgekit quantize, {found.name} for {found.target}", body, _STYLE)


def _sensitivity(found: RoundingReport) -> list[str]:
    measured = by_damage(found)
    title = "<h2>Loss with only one layer quantized, the largest first</h2>"
    if not measured:
        return [
            title,
            "<p>Not measured, as no layer had to stay float: "
            f"{parameter('sensitivity', True)} measures it.</p>",
        ]
    heads = measured[0][1].sqnr
    key = "".join(
        f'<span><i class="s{place}"></i>{escape(head)}</span>' for place, head in enumerate(heads)
    )
    kept = frozenset(layer.label for layer, _ in measured if layer.float)
    said = "<span>bold: stayed float</span>" if kept else ""
    return [
        title,
        f'<p class="key">{key}<span><i class="s5"></i>detections lost</span>{said}</p>',
        sensitivity({layer.label: check for layer, check in measured}, kept),
    ]


def _activations(found: RoundingReport) -> list[str]:
    read = [(layer, layer.reads) for layer in found.layers if layer.reads]
    if not read:
        return []
    measured = {layer.name: place for place, (layer, _) in enumerate(by_damage(found))}

    def order(pair: tuple[LayerRow, ActivationRow]) -> float:
        return measured[pair[0].name] if measured else pair[1].sqnr

    worst = [(layer.label, reads) for layer, reads in sorted(read, key=order)[:_WORST]]
    which = (
        "the layers with the largest loss"
        if measured
        else "the layers with the largest rounding errors"
    )
    return [
        f"<h2>Inputs of {which}</h2>",
        "<p>Values in calibration; the height is the square root of their number. Grey values are "
        "outside the range of the integers. Decibels compare the values with their rounding errors."
        "</p>",
        histograms(worst),
        "<h2>Ranges of the layers' inputs, in the order of computation</h2>",
        '<p class="key"><span><i class="s0"></i>values in calibration</span>'
        '<span><i class="span" style="background: var(--rule)"></i>range of the integers</span>'
        "</p>",
        ranges([(layer.label, reads) for layer, reads in read]),
    ]


def _sheet(found: RoundingReport, sheet: npt.NDArray[np.uint8]) -> list[str]:
    _, content = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
    coded = base64.b64encode(content.tobytes()).decode()
    return [
        f"<h2>Some of the {found.samples} calibration frames</h2>",
        "<p>Below each frame is its similarity map, if the model has a cascade.</p>",
        f'<img src="data:image/jpeg;base64,{coded}" alt="frames of the calibration">',
    ]
