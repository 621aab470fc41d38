from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgekit.errors import AnnotationError, UsageError
from edgekit.metrics.analysis import comparison
from edgekit.metrics.analysis.bootstrap import frame_maps
from edgekit.metrics.analysis.comparison import Comparison, Difference, compare, verdicts
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Array
from tests.metrics.analysis.made import saved

GOOD, BAD = evaluate(saved(24, right=0.9)), evaluate(saved(24, seed=1, right=0.3))


@pytest.mark.parametrize("protocol", ["edgekit", "published"])
def test_the_difference_is_that_of_the_figures(protocol: str) -> None:
    one, two = (
        evaluate(saved(6, seed=seed, right=right), protocol=protocol)
        for seed, right in ((0, 0.9), (1, 0.4))
    )
    found = compare(one, two)
    assert found.videos == 6
    assert found.frame_map["0.5"].value == pytest.approx(one.frame_map - two.frame_map)
    expected = {at: value - two.video_map[at] for at, value in one.video_map.items()}
    assert {at: each.value for at, each in found.video_map.items()} == pytest.approx(expected)


def test_a_clear_difference_is_sure_in_both_directions() -> None:
    up, down = compare(GOOD, BAD), compare(BAD, GOOD)
    for one, other in (
        (up.frame_map["0.5"], down.frame_map["0.5"]),
        (up.video_map["0.5"], down.video_map["0.5"]),
    ):
        assert 0 < one.low < one.value < one.high
        assert (other.value, other.low, other.high) == pytest.approx(
            (-one.value, -one.high, -one.low)
        )
        assert one.sure
        assert other.sure


def test_an_evaluation_does_not_differ_from_itself() -> None:
    found = compare(GOOD, GOOD)
    for one in (*found.frame_map.values(), *found.video_map.values()):
        assert (one.value, one.low, one.high) == (0.0, 0.0, 0.0)
        assert not one.sure


def test_the_order_of_the_videos_does_not_matter() -> None:
    data = saved(24, seed=1, right=0.3)
    turned = evaluate(SavedDetections(data.classes, data.videos[::-1]))
    found, expected = compare(GOOD, turned), compare(GOOD, BAD)
    assert found.frame_map["0.5"].value == pytest.approx(expected.frame_map["0.5"].value)
    assert found.video_map["0.5"].low == pytest.approx(expected.video_map["0.5"].low)


def test_equal_seeds_give_equal_intervals() -> None:
    assert compare(GOOD, BAD) == compare(GOOD, BAD)
    assert compare(GOOD, BAD) != compare(GOOD, BAD, seed=1)


def test_both_are_scored_on_the_same_thousand_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def scored(result: EvalResult, weights: Array, every: bool) -> Array:
        given.append(weights)
        return frame_maps(result, weights, every)

    monkeypatch.setattr(comparison, "frame_maps", scored)
    compare(GOOD, BAD)
    ours, theirs = given
    np.testing.assert_array_equal(ours, theirs)
    figures, draws = ours[0], ours[1:]
    assert figures.tolist() == [1] * 24
    assert draws.shape == (1000, 24)
    assert set(draws.sum(axis=1)) == {24}


def _without_one() -> SavedDetections:
    whole = saved(24)
    return SavedDetections(whole.classes, whole.videos[1:])


def _other_classes() -> SavedDetections:
    return SavedDetections(["a", "b", "c"], saved(24).videos)


def _other_truth() -> SavedDetections:
    whole = saved(24)
    first = whole.videos[0]
    tube = first.truth.tubes[0]
    moved = replace(first.truth, tubes=[replace(tube, boxes=tube.boxes + 1)])
    return SavedDetections(whole.classes, [SavedVideo(moved, first.detections), *whole.videos[1:]])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            _without_one,
            "videos differ: here 24; in the file to compare with 23, and only one has 'v0'.",
        ),
        (
            _other_classes,
            "classes differ: here run, jump, sit; in the file to compare with a, b, c.",
        ),
        (
            _other_truth,
            "annotations of 'v0' differ: here 22 boxes in 30 frames; in the file to compare with ",
        ),
    ],
)
def test_other_videos_cannot_be_compared(other, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AnnotationError) as caught:
        compare(GOOD, evaluate(other()))
    assert words in caught.value.message


@pytest.mark.parametrize(("link", "expected"), [("edgekit", 2), ("road", 0)])
def test_tubes_that_are_linked_at_another_rate_are_counted(link: str, expected: int) -> None:
    ours, theirs = saved(5), saved(5)
    for place, fps in ((0, 60.0), (1, 12.5), (2, 25.000001)):
        video = ours.videos[place]
        found = FrameDetections.of(video.detections, len(ours.classes), fps)
        ours.videos[place] = replace(video, detections=found)
    found = compare(evaluate(ours, link=link), evaluate(theirs, link=link))
    assert found.other_rates == expected
    told = [line for line in verdicts(found, "b.json") if "frame rate" in line]
    assert [line.partition(" are")[0] for line in told] == ["2 of 5 videos"] * bool(expected)


def test_one_video_cannot_be_drawn_from() -> None:
    one = evaluate(saved(1))
    with pytest.raises(UsageError, match="at least 2; found 1"):
        compare(one, one)


def test_the_words_are_honest() -> None:
    unclear, higher = Difference(0.01, -0.02, 0.04), Difference(0.2, 0.1, 0.3)
    lower = Difference(-0.2, -0.3, -0.1)
    lines = verdicts(Comparison(30, {"0.5": unclear}, {"0.2": higher, "0.5": lower}), "b.json")
    assert lines == [
        "frame-mAP@0.5: no clear difference from b.json (+0.010, 95% interval -0.020 to +0.040, "
        "which contains 0).",
        "video-mAP@0.2: higher than b.json by 0.200 (95% interval +0.100 to +0.300).",
        "video-mAP@0.5: lower than b.json by 0.200 (95% interval -0.300 to -0.100).",
    ]
    few = verdicts(Comparison(3, {"0.5": higher}, {}), "b.json")
    assert few[-1].startswith("With only 3 videos the intervals are too narrow")
