from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgekit.linking.choices import LINKS
from edgekit.metrics.analysis.errors import ErrorKind
from edgekit.metrics.analysis.records import Analysis
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.evaluate import evaluate
from edgekit.runtime.types import Detections
from tests.metrics.analysis.made import CLASSES, saved


def _analysis(data: SavedDetections, **options: str) -> Analysis:
    result = evaluate(data, analyse=True, **options)  # type: ignore[arg-type]
    assert result.analysis is not None
    return result.analysis


def test_without_asking_there_is_no_analysis() -> None:
    assert evaluate(saved(2)).analysis is None


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("frames", ["all", "annotated"])
def test_the_analysis_has_the_figures_of_the_evaluation(link: str, frames: str) -> None:
    result = evaluate(saved(8), link=link, frames=frames, analyse=True)
    found = result.analysis
    assert found is not None
    assert found.frame_map == pytest.approx(result.frame_map)
    assert found.video_map == pytest.approx(result.video_map["0.5"])
    per_class = {name: each.frame_ap for name, each in result.per_class.items()}
    assert {one.name: one.ap for one in found.frame_classes} == pytest.approx(per_class)
    assert {video.name for video in found.videos} == set(result.tubes)
    for errors in (found.frame_errors, found.tube_errors):
        assert all(one.gain >= -1e-12 for one in errors)
        assert all(one.repaired <= 1 + 1e-12 for one in errors)


def test_precisions_have_four_decimals() -> None:
    values = [value for one in _analysis(saved(8)).frame_classes for value in one.curve]
    assert values == [round(value, 4) for value in values]
    assert values != [round(value, 3) for value in values]


def test_perfect_detections_have_no_errors() -> None:
    found = _analysis(_perfect(6))
    assert (found.frame_map, found.video_map) == (1.0, 1.0)
    # The boxes of the frames before and after the action are left out.
    assert [one.count for one in found.frame_errors] == [0] * len(found.frame_errors)
    assert [one.gain for one in found.tube_errors] == [0.0] * len(found.tube_errors)
    assert found.shifts is not None
    assert (found.shifts.begin, found.shifts.end) == ([0.0] * 3, [0.0] * 3)
    counts = np.array(found.confusion.counts)
    assert (counts == np.diag(np.diag(counts))).all()
    assert {group.found for group in found.groups} <= {1.0, None}
    assert found.early[-1].accuracy == 1.0
    assert {video.frame_ap for video in found.videos} == {1.0}


def _perfect(count: int) -> SavedDetections:
    """Detections that are the annotated boxes."""
    videos = []
    for video in saved(count).videos:
        frames = []
        for number, found in enumerate(video.detections):
            assert found is not None
            tubes = [tube for tube in video.truth.tubes if tube.start <= number <= tube.end]
            boxes = [tube.boxes[number - tube.start] for tube in tubes]
            scores = np.eye(len(CLASSES))[[tube.label for tube in tubes]] * 0.9
            frames.append(replace(found, boxes=np.reshape(boxes, (-1, 4)), scores=scores))
        videos.append(SavedVideo(video.truth, frames))
    return SavedDetections(list(CLASSES), videos)


def test_shifts_are_those_of_tubes_at_the_working_point() -> None:
    data = _perfect(6)
    *videos, last = data.videos
    # It begins too late to be correct, and scores too little to count.
    late = [
        replace(found, boxes=found.boxes[: len(found.boxes) * (number >= 20)],
                scores=found.scores[: len(found.scores) * (number >= 20)] / 3)
        for number, found in enumerate(last.detections) if found is not None
    ]  # fmt: skip
    count = sum(len(video.truth.tubes) for video in videos)
    found = _analysis(SavedDetections(data.classes, [*videos, SavedVideo(last.truth, late)])).shifts
    assert found is not None
    assert (found.tubes, found.begin, found.end) == (count, [0.0] * 3, [0.0] * 3)


def test_shifts_are_quartiles() -> None:
    videos = []
    for late, video in zip((0, 1, 2, 5), _perfect(7).videos[::2], strict=True):
        (tube,) = video.truth.tubes
        frames = [
            Detections.empty(len(CLASSES)) if number < tube.start + late else found
            for number, found in enumerate(video.detections)
        ]
        videos.append(SavedVideo(video.truth, frames))
    found = _analysis(SavedDetections(list(CLASSES), videos)).shifts
    assert found is not None
    assert (found.tubes, found.end) == (4, [0.0] * 3)
    assert found.begin == pytest.approx([0.75, 1.5, 2.75])


def test_nothing_found_is_nothing_right() -> None:
    videos = [
        SavedVideo(video.truth, [Detections.empty(len(CLASSES))] * len(video.detections))
        for video in saved(2).videos
    ]
    found = _analysis(SavedDetections(list(CLASSES), videos))
    assert (found.frame_map, found.video_map) == (0.0, 0.0)


def test_what_is_confused_is_in_the_matrix() -> None:
    found = _analysis(saved(12, right=0.5))
    counts = np.array(found.confusion.counts)
    kinds = {one.kind: one.count for one in found.frame_errors}
    own = np.diag(counts)[:-1].sum()
    between = counts[:-1, :-1].sum() - own
    assert between == kinds[str(ErrorKind.CLASS)] > 0
    wrong = (ErrorKind.PLACE, ErrorKind.BOTH, ErrorKind.DOUBLE, ErrorKind.BACKGROUND)
    assert counts[-1].sum() == sum(kinds[str(kind)] for kind in wrong)
    assert counts[-1, -1] == 0


def test_the_worst_videos_come_first_and_those_without_annotations_last() -> None:
    data = saved(8)
    bare = data.videos[0]
    videos = [SavedVideo(replace(bare.truth, tubes=[]), bare.detections), *data.videos[1:]]
    found = _analysis(SavedDetections(data.classes, videos)).videos
    assert found[-1].name == bare.truth.name
    assert (found[-1].frame_ap, found[-1].found, found[-1].boxes) == (None, None, 0)
    values = [video.frame_ap for video in found[:-1]]
    assert values == sorted(values)


def test_the_published_protocol_is_analysed_by_class() -> None:
    assert _analysis(saved(4), protocol="published").frame_map > 0
