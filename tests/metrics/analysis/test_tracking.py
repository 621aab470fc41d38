from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgekit.errors import MissingDependencyError
from edgekit.metrics.analysis import tracking
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from edgekit.runtime.types import Tube
from tests.metrics.analysis.made import saved


def _with_tubes(result: EvalResult, cut: bool) -> EvalResult:
    """An evaluation whose tubes are the annotated ones; ``cut`` in two halves."""
    videos = []
    for video in result.videos:
        tubes = []
        for number, truth in enumerate(video.truth):
            middle = (truth.start + truth.end) // 2
            parts = [(truth.start, middle), (middle + 1, truth.end)]
            for begin, end in parts if cut else [(truth.start, truth.end)]:
                boxes = truth.boxes[begin - truth.start : end - truth.start + 1]
                ones = np.ones(len(boxes))
                tubes.append(
                    Tube(number, truth.label, 0.9, begin, end, boxes, ones, ones.astype(np.bool_))
                )
        videos.append(replace(video, final=tubes))
    return replace(result, videos=videos)


def _perfect(count: int) -> EvalResult:
    """An evaluation in which the working point of every class is low."""
    return evaluate(saved(count, right=1.0))


def test_the_annotated_tubes_are_perfect_tracks() -> None:
    pytest.importorskip("trackeval", reason="the package trackeval is not installed")
    found = tracking.tracking_measures(_with_tubes(_perfect(6), cut=False))
    for value in (found.hota, found.det_a, found.ass_a, found.idf1, found.mota):
        assert value == pytest.approx(1.0)
    assert found.id_switches == 0


def test_a_track_in_two_halves_is_worse_as_a_track_only() -> None:
    pytest.importorskip("trackeval", reason="the package trackeval is not installed")
    result = _with_tubes(_perfect(6), cut=True)
    found = tracking.tracking_measures(result)
    assert found.det_a == pytest.approx(1.0)
    assert found.ass_a == pytest.approx(0.5)
    assert found.hota == pytest.approx(0.5**0.5)
    assert found.idf1 == pytest.approx(0.5)
    assert found.id_switches == sum(len(video.truth) for video in result.videos)


def test_annotated_boxes_after_the_end_of_a_video_are_missed() -> None:
    pytest.importorskip("trackeval", reason="the package trackeval is not installed")
    halves = _with_tubes(_perfect(6), cut=True)
    videos = [replace(video, final=video.final[::2], length=15) for video in halves.videos]
    assert {tube.end for video in videos for tube in video.final} == {14}
    found = tracking.tracking_measures(replace(halves, videos=videos))
    assert (found.det_a, found.ass_a) == pytest.approx((0.5, 0.5))


def test_real_tubes_and_videos_without_any() -> None:
    pytest.importorskip("trackeval", reason="the package trackeval is not installed")
    data = saved(8, right=0.8)
    bare = data.videos[0]
    videos = [SavedVideo(replace(bare.truth, tubes=[]), bare.detections), *data.videos[1:]]
    found = tracking.tracking_measures(evaluate(SavedDetections(data.classes, videos)))
    assert 0 < found.hota < 1
    assert 0 < found.idf1 < 1
    assert found.mota < 1


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trackeval", None)
    with pytest.raises(MissingDependencyError) as caught:
        tracking.check_installed()
    assert "Tracking measures" in caught.value.message
    assert "tracking" in (caught.value.hint or "")
