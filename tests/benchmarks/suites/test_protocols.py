"""Tests the rules of the published programs beside EdgeKit's own."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from edgekit.benchmarks.suites.accuracy.protocols import (
    FRAME_RULES,
    FrameRule,
    frame_map,
    main,
    moc_video_map,
    trapezoids,
)
from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.metrics.average_precision import average_precision
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.detections_writer import write_detections
from edgekit.metrics.evaluate import evaluate
from edgekit.runtime.types import Detections
from tests.metrics.analysis.made import saved


@pytest.mark.parametrize("seed", range(3))
def test_the_rules_of_edgekit_written_twice_agree(seed):
    made = saved(12, seed=seed)
    for annotated, frames in ((False, "all"), (True, "annotated")):
        rule = FrameRule(annotated, False, False, False, average_precision)
        assert frame_map(made, rule) == pytest.approx(evaluate(made, frames=frames).frame_map)


def test_trapezoids_of_a_curve():
    # Precision is 1, 1/2, 2/3 at recalls 1/2, 1/2, 1; the curve begins at precision 1, recall 0.
    hits = np.array([True, False, True])
    found = trapezoids(np.array([0.9, 0.8, 0.7]), hits, 2)
    assert found == pytest.approx(0.5 * 1 + 0.5 * (1 / 2 + 2 / 3) / 2)


def one_video(boxes, scores, truth, frames=20):
    box, score = np.array(boxes, float), np.array(scores, float)[:, None]
    tubes = [TruthTube(0, 0, np.tile(np.array(one, float), (frames, 1))) for one in truth]
    video = VideoTruth("v", frames, 320, 240, tubes, 0)
    return SavedDetections(["run"], [SavedVideo(video, [Detections(box, score)] * frames)])


def test_a_box_that_is_an_iou_below_a_half_only_without_its_last_pixel():
    # 10x5 of 10x10 and a bit less: 0.49 as continuous boxes, 0.53 with their last pixels.
    made = one_video([[0, 0, 10, 4.9]], [0.9], [[0, 0, 10, 10]])
    assert frame_map(made, FRAME_RULES["ROAD (Python)"]) == 0
    assert frame_map(made, FRAME_RULES["MOC"]) == 1


def test_a_second_box_on_an_actor_may_take_the_next_one_but_not_for_yowo():
    # Both boxes overlap the first actor most, and each actor by more than half. They overlap each
    # other too little for one to suppress the other.
    first, second = [100, 100, 200, 200], [100, 150, 200, 250]
    boxes = [[100, 80, 200, 180], [100, 124, 200, 224]]
    made = one_video(boxes, [0.9, 0.8], [first, second])
    assert frame_map(made, FRAME_RULES["ROAD (Python)"]) == 1
    assert frame_map(made, FRAME_RULES["YOWOv2"]) == pytest.approx(0.5)


def test_moc_leaves_out_short_tubes():
    long, short = (
        one_video([[50, 50, 100, 100]], [0.9], [[50, 50, 100, 100]], frames=frames)
        for frames in (15, 14)
    )
    assert moc_video_map(evaluate(long), 0.5) == 1
    assert moc_video_map(evaluate(short), 0.5) == 0


def moved(right):
    return np.array([right, 0, right, 0])


def test_moc_leaves_out_tubes_that_overlap_a_better_one():
    result = evaluate(one_video([[50, 50, 100, 100]], [0.9], [[50, 50, 100, 100]]))
    (video,) = result.videos
    (tube,) = video.final
    beside = replace(tube, score=tube.score + 0.1, boxes=tube.boxes + moved(40))
    apart = replace(tube, score=tube.score + 0.1, boxes=tube.boxes + moved(60))
    near = replace(tube, score=tube.score - 0.1, boxes=tube.boxes + moved(1))
    for others, expected in (([beside], 0.25), ([apart], 0.25), ([near], 1.0)):
        found = replace(result, videos=[replace(video, final=[tube, *others])])
        assert moc_video_map(found, 0.5) == pytest.approx(expected)


def test_the_table(tmp_path, capsys, monkeypatch):
    path = tmp_path / "found.json.gz"
    write_detections(path, saved(4))
    monkeypatch.setattr(sys, "argv", ["protocols", str(path)])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| rules | frame-mAP@0.5 | video-mAP@0.5 |"
    assert [line.split(" |")[0] for line in lines[2:]] == [
        "| EdgeKit",
        "| EdgeKit, --frames annotated",
        "| KORSAL, --protocol published",
        "| ROAD (Python)",
        "| MOC",
        "| YOWOv2",
    ]
