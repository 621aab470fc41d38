"""Draws the stage times as bars, for the foot of the summary picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgekit.media.drawing.text import Colour, colour_of, lighter, put_text
from edgekit.pipeline.stage_timer import StageTimes
from edgekit.runtime.types import Array

__all__ = ["draw_stages"]

_MARGIN = 32
_ROW = 30
_NAME = 130
_NUMBERS = 420
_INK: Colour = (45, 40, 35)


def draw_stages(stages: Mapping[str, StageTimes], width: int) -> Array:
    """Draws one bar per stage, (H, width, 3) uint8: solid to the median, pale to 90th percentile.

    Args:
        stages: Times by stage name, in milliseconds.
        width: Width of the picture, in pixels.
    """
    image = np.full((_ROW * (len(stages) + 2), width, 3), 255, np.uint8)
    put_text(image, "milliseconds a frame", (_MARGIN, 20), 12, _INK)
    for column, name in enumerate(("p50", "p90", "p99")):
        put_text(image, name, (width - _MARGIN - _NUMBERS + 60 + 115 * column, 20), 12, _INK)
    left, right = _MARGIN + _NAME, width - _MARGIN - _NUMBERS
    longest = max((times.p90 for times in stages.values()), default=0.0) or 1.0
    for place, (stage, times) in enumerate(stages.items()):
        top = _ROW * (place + 1)
        put_text(image, stage, (_MARGIN, top + 21), 12, _INK)
        colour = colour_of(place)
        for value, shade in ((times.p90, lighter(colour, 0.7)), (times.p50, colour)):
            end = left + round((right - left) * value / longest)
            image[top + 6 : top + _ROW - 4, left:end] = shade
        for column, value in enumerate((times.p50, times.p90, times.p99)):
            corner = (right + 60 + 115 * column, top + 21)
            put_text(image, f"{value:.2f}", corner, 12, _INK)
    return image
