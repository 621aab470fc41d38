from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.metrics.analysis.bootstrap import frame_maps, video_maps, weighted_ap
from edgekit.metrics.average_precision import average_precision
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.evaluate import evaluate
from edgekit.metrics.video_map import THRESHOLDS
from tests.metrics.analysis.made import saved


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30),
    st.integers(0, 10**6),
)
def test_a_weight_stands_for_that_many_copies(rows: list[tuple[int, bool]], seed: int) -> None:
    rows = sorted(rows, key=lambda row: -row[0])
    scores, hits = np.array([row[0] / 9 for row in rows]), np.array([row[1] for row in rows])
    weights = np.random.default_rng(seed).integers(0, 4, len(rows))
    total = int((weights * hits).sum()) + 1
    found = weighted_ap(weights[None], hits, np.array([total]))
    copies = np.repeat(np.arange(len(rows)), weights)
    assert found[0] == pytest.approx(average_precision(scores[copies], hits[copies], total))


def test_a_draw_is_scored_as_its_videos_are() -> None:
    data = saved(6, right=0.6)
    weights = np.array([0, 2, 1, 3, 0, 1])
    copies = [
        SavedVideo(replace(video.truth, name=f"{video.truth.name}-{copy}"), video.detections)
        for video, weight in zip(data.videos, weights, strict=True)
        for copy in range(weight)
    ]
    drawn = evaluate(SavedDetections(data.classes, copies))
    whole = evaluate(data)
    assert frame_maps(whole, weights[None], False)[0] == pytest.approx(drawn.frame_map)
    found = video_maps(whole, weights[None], False)
    assert found.shape == (len(THRESHOLDS), 1)
    np.testing.assert_allclose(found[:, 0], np.nanmean(drawn.video_ap, axis=1))
