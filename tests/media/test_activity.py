"""Tests what is told about the activity of a source."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.media.activity import SourceActivity
from edgekit.pipeline.results import FrameResult
from edgekit.runtime.types import Detections, Frame

RESULT = FrameResult(Frame(0, 0.0, np.zeros((6, 8, 3), np.uint8)), Detections.empty(1), [])


@pytest.mark.parametrize("period", [0.04, 1.0, 8.0, 60.0])
def test_a_source_has_a_rate_however_slow_and_one_that_stops_loses_it(period):
    now = [100.0]
    activity = SourceActivity(lambda: now[0])
    assert activity.rate == 0
    for _ in range(150):
        now[0] += period
        activity.frame(RESULT)
    assert activity.rate == pytest.approx(1 / period)
    now[0] += 1000
    assert activity.rate == pytest.approx(1 / 1000)
