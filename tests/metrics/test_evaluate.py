from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError, UsageError
from edgekit.linking.choices import PUBLISHED
from edgekit.linking.registry import make_linker
from edgekit.metrics.detections import SavedDetections, SavedVideo, read_detections
from edgekit.metrics.evaluate import evaluate
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.video_map import THRESHOLDS, choose
from edgekit.runtime.types import Detections

VARIANTS = {"road": "baseline", "korsal-hold": "hold", "korsal-motion": "extrapolate"}


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "golden/eval_expected.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def saved(shared: Path) -> SavedDetections:
    return read_detections(shared / "golden/eval_detections.json.gz")


@pytest.mark.shared
@pytest.mark.parametrize("link", PUBLISHED)
def test_the_published_figures_and_every_tube(
    golden: dict[str, Any], saved: SavedDetections, link: str
) -> None:
    result = evaluate(saved, link=link, protocol="published")
    want = golden["video_ap"][VARIANTS[link]]
    assert list(result.tubes) == golden["video_order"]
    assert tuple(want["iou_thresholds"]) == THRESHOLDS
    near = {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(result.frame_ap, golden["frame_ap"]["ap_per_class"], **near)
    assert result.frame_map == pytest.approx(golden["frame_ap"]["mean_ap"], abs=1e-6)
    np.testing.assert_allclose(result.video_ap, want["ap_per_class"], **near)
    np.testing.assert_allclose(result.mean_overlap.mean(axis=1), want["mean_avg_iou"], **near)
    assert result.video_accuracy == pytest.approx(want["video_accuracy"][0], abs=1e-6)
    printed = result.to_dict()
    means = dict(zip(map(str, THRESHOLDS), want["mean_ap"], strict=True))
    expected = {name: means[name] for name in ("0.2", "0.5", "0.75")}
    expected["0.5:0.95"] = want["map_50_95"]
    assert printed["video_map"] == pytest.approx(expected, abs=1e-6)
    for name, tubes in want["tubes"].items():
        found = result.tubes[name]
        for key in ("label", "start", "end"):
            assert [getattr(tube, key) for tube in found] == [tube[key] for tube in tubes], name
        scores = [tube["score"] for tube in tubes]
        assert [tube.score for tube in found] == pytest.approx(scores, abs=1e-6), name
        for tube, expected_tube in zip(found, tubes, strict=True):
            for box, row in (("first_box", 0), ("last_box", -1)):
                x1, y1, x2, y2 = tube.boxes[row]
                xywh = [x1 + 1, y1 + 1, x2 - x1, y2 - y1]
                assert xywh == pytest.approx(expected_tube[box], abs=1e-6), name


def video(
    name: str, label: int, found: int, *, size: tuple[int, int] = (320, 240), frames: int = 20
) -> SavedVideo:
    """One still actor, annotated as ``label`` and detected as ``found``."""
    unit = np.array([size[0] / 320, size[1] / 240] * 2)
    box = np.array([50.0, 60, 150, 200])
    scores = np.zeros((1, 3))
    scores[0, found] = 0.9
    detections = [Detections((box * unit)[None], scores)] * frames
    tubes = [TruthTube(label, 0, np.tile(box * unit, (frames, 1)))]
    return SavedVideo(VideoTruth(name, frames, *size, tubes, label), detections)


CLASSES = ["run", "jump", "sit"]


def test_perfect_detections_score_one_over_the_classes_that_count() -> None:
    saved = SavedDetections(CLASSES, [video("a", 0, 0), video("b", 1, 1)])
    result = evaluate(saved).to_dict()
    assert result["frame_map"] == {"0.5": 1.0}
    assert result["video_map"] == {"0.2": 1.0, "0.5": 1.0, "0.75": 1.0, "0.5:0.95": 1.0}
    assert result["per_class"]["sit"]["frame_ap"] is None
    assert set(result["per_class"]["sit"]["video_ap"].values()) == {None}
    assert (result["videos"], result["frames"], result["link"]) == (2, 40, "edgekit")
    json.dumps(result, allow_nan=False)
    published = evaluate(saved, protocol="published").to_dict()
    assert published["frame_map"]["0.5"] == pytest.approx(2 / 3)
    assert published["per_class"]["sit"]["frame_ap"] == 0


def test_videos_that_failed_are_printed_with_their_reasons() -> None:
    result = evaluate(SavedDetections(CLASSES, [video("a", 0, 0)]))
    assert "failures" not in result.to_dict()
    failures = {"b.mp4": "It ends too early."}
    assert replace(result, failures=failures).to_dict()["failures"] == failures


def test_the_best_tubes_choose_first_and_none_is_chosen_twice() -> None:
    overlap = np.array([[0.6, 0.7], [0.8, 0.9], [0.55, -np.inf], [0.5, 0.2]])
    assert choose(overlap, 0.5) == [1, 0, -1, -1]
    assert choose(overlap, 0.65) == [1, 0, -1, -1]
    assert choose(overlap, 0.75) == [-1, 1, -1, -1]
    assert choose(np.zeros((2, 0)), 0.0) == [-1, -1]


def test_a_wrong_class_is_no_hit() -> None:
    result = evaluate(SavedDetections(CLASSES, [video("a", 0, 1)]))
    assert result.frame_map == 0
    assert result.video_map["0.2"] == 0
    assert result.video_accuracy == 0


def test_the_published_protocol_brings_videos_to_its_size() -> None:
    small = evaluate(SavedDetections(CLASSES, [video("a", 0, 0)]), protocol="published")
    large_video = video("a", 0, 0, size=(640, 480))
    large = evaluate(SavedDetections(CLASSES, [large_video]), protocol="published")
    np.testing.assert_allclose(large.video_ap, small.video_ap)
    np.testing.assert_allclose(large.mean_overlap, small.mean_overlap)
    np.testing.assert_allclose(large.tubes["a"][0].boxes, small.tubes["a"][0].boxes * 2)


def test_only_the_published_protocol_lets_a_box_match_another_class() -> None:
    one = video("a", 0, 0)
    far = TruthTube(1, 0, np.tile([200.0, 60, 300, 200], (20, 1)))
    scores = np.array([[0.9, 0.0, 0.0], [0.8, 0.0, 0.0]])
    boxes = np.concatenate((one.detections[0].boxes, far.boxes[:1]))
    truth = VideoTruth("a", 20, 320, 240, [*one.truth.tubes, far], 0)
    saved = SavedDetections(CLASSES, [SavedVideo(truth, [Detections(boxes, scores)] * 20)])
    assert evaluate(saved).frame_ap[0] == pytest.approx(1.0)
    published = evaluate(saved, protocol="published")
    assert published.frame_ap[0] == pytest.approx(2.0)


def test_the_seconds_are_those_since_the_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class Slow(SavedVideo):
        def load(self) -> SavedVideo:
            now[0] += 60
            return self

    made = [video("a", 0, 0), video("b", 1, 1)]
    slow: list[SavedVideo] = [Slow(each.truth, each.detections) for each in made]
    assert evaluate(SavedDetections(CLASSES, slow)).seconds == 120


def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("pool", [lambda: ThreadPoolExecutor(2), processes])
def test_the_result_does_not_depend_on_the_executor(pool: Callable[[], Executor]) -> None:
    saved = SavedDetections(CLASSES, [video(str(n), n % 3, n % 2) for n in range(6)])
    alone = evaluate(saved)
    with pool() as executor:
        shared = evaluate(saved, executor=executor)
    np.testing.assert_array_equal(alone.video_ap, shared.video_ap)
    np.testing.assert_array_equal(alone.frame_ap, shared.frame_ap)
    assert list(alone.tubes) == list(shared.tubes)


@pytest.mark.parametrize(
    "options",
    [
        {"link": "x"},
        {"cost": "x"},
        {"protocol": "x"},
        {"max_misses": 0},
        {"link": "road", "delay": 1},
    ],
    ids=str,
)
def test_impossible_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        evaluate(SavedDetections(CLASSES, [video("a", 0, 0)]), **options)


def test_detections_without_truth_cannot_be_evaluated() -> None:
    bare = VideoTruth("a", 1, 320, 240)
    saved = SavedDetections(CLASSES, [SavedVideo(bare, [Detections.empty(3)])])
    with pytest.raises(AnnotationError, match="nothing to compare with"):
        evaluate(saved)


@pytest.mark.shared
@pytest.mark.parametrize("protocol", ["edgekit", "published"])
def test_the_real_annotations_as_detections_are_found_whole(shared: Path, protocol: str) -> None:
    truth = read_truth("json", shared / "ucf24")
    videos = []
    for annotated in truth.videos:
        frames = [Detections.empty(len(truth.classes)) for _ in range(annotated.frames)]
        for index in range(annotated.frames):
            present = [t for t in annotated.tubes if t.start <= index <= t.end]
            boxes = np.array([t.boxes[index - t.start] for t in present]).reshape(-1, 4)
            scores = np.zeros((len(present), len(truth.classes)))
            scores[np.arange(len(present)), [t.label for t in present]] = 0.9
            frames[index] = Detections(boxes, scores)
        videos.append(SavedVideo(annotated, frames))
    # One dancer's tube is annotated in three parts, across whose gaps the linker edgekit goes on.
    result = evaluate(SavedDetections(truth.classes, videos), protocol=protocol, link="road")
    present_classes = {tube.label for annotated in truth.videos for tube in annotated.tubes}
    assert len(present_classes) == 9
    for label in present_classes:
        assert result.frame_ap[label] > 0.98
        assert result.video_ap[0, label] > 0.7
    assert result.video_accuracy == 1
    missing = 0 if protocol == "published" else None
    assert result.to_dict()["per_class"]["Surfing"]["frame_ap"] == missing


def test_the_linker_follows_from_the_protocol_where_none_is_named() -> None:
    saved = SavedDetections(CLASSES, [video("a", 0, 0)])
    assert evaluate(saved).link == "edgekit"
    assert evaluate(saved, protocol="published").link == "road"


def test_a_delay_longer_than_the_video_ends_with_what_is_there() -> None:
    saved = SavedDetections(CLASSES, [video("a", 0, 0)])
    assert evaluate(saved, delay=1000).video_map["0.5"] == 1.0


@pytest.mark.parametrize(("fps", "hidden"), [(10, 2.0), (25, 2.0), (60, 0.8), (60, 2.0)])
def test_tubes_are_those_of_a_run_at_any_rate(fps: int, hidden: float) -> None:
    """What counts is how long an actor is hidden, not for how many frames."""
    every = []
    for frame in range(8 * fps):
        place = 100 + 5 * frame / fps
        seen = not 4 <= frame / fps < 4 + hidden
        boxes = np.array([[place, 50, place + 50, 150]])[: int(seen)]
        every.append(Detections(boxes, np.full((int(seen), 1), 0.8)))
    linker = make_linker("edgekit", 1, min_hits=6).linker
    shown = [t for n, found in enumerate(every) for t in linker.update(found, n / fps).closed]
    shown += linker.finish()
    truth = TruthTube(0, 0, np.tile([100.0, 50, 150, 150], (8 * fps, 1)))
    saved = SavedVideo(
        VideoTruth("v", 8 * fps, 320, 240, [truth], 0), FrameDetections.of(every, 1, fps)
    )
    result = evaluate(SavedDetections(["walk"], [saved]))
    assert [(t.start, t.end) for t in result.tubes["v"]] == [(t.start, t.end) for t in shown]
    assert len(shown) == (1 if hidden < 1 else 2)


def test_frames_that_nobody_looked_at_neither_count_nor_are_misses() -> None:
    boxes = np.array([[20.0 + 2 * t, 30, 60 + 2 * t, 110] for t in range(40)])
    truth = VideoTruth("v", 40, 320, 240, [TruthTube(0, 0, boxes)], 0)
    every = [Detections(boxes[t : t + 1], np.array([[0.8, 0.0]])) for t in range(40)]
    looked = [found if t % 5 == 0 else None for t, found in enumerate(every)]
    whole, part = (
        evaluate(SavedDetections(["walk", "run"], [SavedVideo(truth, found)]))
        for found in (every, looked)
    )
    assert part.frame_map == whole.frame_map == 1
    (tube,) = part.tubes["v"]
    assert (tube.start, tube.end) == (0, 39)
    assert np.abs(tube.boxes - boxes)[:36].max() < 4
    empty = [found or Detections.empty(2) for found in looked]
    misses = evaluate(SavedDetections(["walk", "run"], [SavedVideo(truth, empty)]))
    assert misses.frame_map < 0.5


@pytest.mark.parametrize("protocol", ["edgekit", "published"])
def test_without_a_processed_frame_that_is_annotated_there_is_no_figure(protocol: str) -> None:
    whole = video("a", 0, 0)
    tube = TruthTube(0, 5, whole.truth.tubes[0].boxes[:10])
    frames = [None if 5 <= t < 15 else found for t, found in enumerate(whole.detections)]
    missed = SavedVideo(VideoTruth("b", 20, 320, 240, [tube], 0), frames)
    with pytest.raises(AnnotationError) as caught:
        evaluate(SavedDetections(CLASSES, [missed]), protocol=protocol)
    assert "None of the 10 annotated boxes is in a frame that was processed" in str(caught.value)
    # One processed frame of another video gives a figure.
    found = evaluate(SavedDetections(CLASSES, [missed, whole]), protocol=protocol).to_dict()
    json.dumps(found, allow_nan=False)


def test_a_box_outside_the_action_is_an_error_only_if_all_frames_count() -> None:
    whole = video("a", 0, 0)
    tube = TruthTube(0, 5, whole.truth.tubes[0].boxes[:10])
    sure = Detections(whole.detections[0].boxes, np.array([[0.99, 0, 0]]))
    found = [sure] * 5 + list(whole.detections[5:15]) + [sure] * 5
    saved = SavedDetections(CLASSES, [SavedVideo(replace(whole.truth, tubes=[tube]), found)])
    assert evaluate(saved, frames="annotated").frame_map == 1
    assert evaluate(saved).frame_map < 0.6
