"""Which videos of a dataset are processed, kept and counted, whatever fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.errors import AnnotationError, BundleError, LostWorkerError, MediaError
from edgekit.evaluation.dataset_detections import MOST_NAMED, DatasetDetections, detect_dataset
from edgekit.evaluation.results import ResultsFolder
from edgekit.metrics.frame_detections import FrameDetections
from tests.recorded_progress import RecordedProgress

NAMES = ("a", "b", "c", "d")


def _found(frames: int) -> FrameDetections:
    return FrameDetections(np.ones((frames, 4)), np.ones((frames, 1)), np.ones(frames, np.intp))


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return _truth(tmp_path, NAMES)


def _truth(tmp_path: Path, names: Sequence[str]) -> Truth:
    videos = []
    for name in names:
        path = tmp_path / f"{name}.mp4"
        path.write_text(name)
        videos.append(VideoTruth(name, 3, 32, 32, [TruthTube(0, 0, np.eye(4)[:3])], 0, path))
    return Truth(["one"], videos)


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results", "key")


class _Detector:
    """Returns three frames for each video, except for those that it is told to fail on."""

    def __init__(self, **errors: BaseException) -> None:
        self.errors = errors
        self.seen: list[str] = []

    def __call__(self, video: VideoTruth) -> FrameDetections:
        self.seen.append(video.name)
        if video.name in self.errors:
            raise self.errors[video.name]
        return _found(3)


def _names(found: DatasetDetections) -> list[str]:
    return [stored.truth.name for stored in found.videos]


def test_videos_that_fail_are_named_and_the_others_go_on(
    truth: Truth, results: ResultsFolder
) -> None:
    detector = _Detector(a=MediaError("No picture."), c=LostWorkerError("It died."))
    found = detect_dataset(truth, detector, results)
    assert detector.seen == list(NAMES)
    assert _names(found) == ["b", "d"]
    assert found.failures == {"a": "No picture.", "c": "It died."}


def test_a_video_of_another_length_fails(truth: Truth, results: ResultsFolder) -> None:
    found = detect_dataset(truth, lambda video: _found(3 + (video.name == "b")), results)
    assert list(found.failures) == ["b"]
    assert "detections for 4 frames, but its annotation has 3" in found.failures["b"]


def test_a_video_that_is_missing_fails_without_being_tried(
    truth: Truth, results: ResultsFolder
) -> None:
    path = truth.videos[1].path
    assert path is not None
    path.unlink()
    detector = _Detector()
    found = detect_dataset(truth, detector, results)
    assert detector.seen == ["a", "c", "d"]
    assert list(found.failures) == ["b"]


def test_strictness_ends_at_the_first_failure(truth: Truth, results: ResultsFolder) -> None:
    detector = _Detector(b=MediaError("No picture."))
    with pytest.raises(MediaError, match=r"No picture\."):
        detect_dataset(truth, detector, results, strict=True)
    assert detector.seen == ["a", "b"]


def test_a_failure_of_all_videos_has_no_figures(truth: Truth, results: ResultsFolder) -> None:
    detector = _Detector(**{name: MediaError("No picture.") for name in NAMES})
    with pytest.raises(MediaError, match=r"All 4 videos failed\. No picture\."):
        detect_dataset(truth, detector, results)


@pytest.mark.parametrize("count", [MOST_NAMED, MOST_NAMED + 1, MOST_NAMED + 7])
@pytest.mark.parametrize("every", [True, False])
def test_only_the_first_failures_are_named_one_by_one(
    tmp_path: Path,
    results: ResultsFolder,
    caplog: pytest.LogCaptureFixture,
    count: int,
    every: bool,
) -> None:
    names = [f"v{number:02}" for number in range(count + (not every))]
    truth = _truth(tmp_path, names)
    detector = _Detector(**{name: MediaError("No picture.") for name in names[:count]})
    with caplog.at_level(logging.INFO):
        if every:
            with pytest.raises(MediaError, match=rf"All {count} videos failed\. No picture\."):
                detect_dataset(truth, detector, results)
        else:
            found = detect_dataset(truth, detector, results)
            assert list(found.failures) == names[:count]
    shown = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    named = [f"{name} failed and is left out: No picture." for name in names[:MOST_NAMED]]
    more = count - MOST_NAMED
    rest = [f"Failed videos that are not named above: {more}. The log at level INFO names all."]
    assert shown == named + rest * (more > 0)
    told = [r.getMessage() for r in caplog.records if "is left out" in r.getMessage()]
    assert [line.partition(" ")[0] for line in told] == names[:count]


def test_videos_without_an_action_are_refused_before_they_are_processed(
    truth: Truth, results: ResultsFolder
) -> None:
    bare = Truth(truth.classes, [replace(video, tubes=[]) for video in truth.videos])
    detector = _Detector()
    with pytest.raises(AnnotationError, match=r"found none\. Number of videos: 4"):
        detect_dataset(bare, detector, results)
    assert detector.seen == []


def test_what_fails_for_every_video_ends_at_once(truth: Truth, results: ResultsFolder) -> None:
    detector = _Detector(a=BundleError("No model."))
    with pytest.raises(BundleError):
        detect_dataset(truth, detector, results)
    assert detector.seen == ["a"]


@pytest.mark.parametrize(
    ("lasting", "words"),
    [
        (True, "2 of 4 videos are finished. The same command continues with the others."),
        (False, "2 of 4 videos are finished. The same command begins with the first again."),
    ],
)
def test_an_interrupt_says_whether_the_results_are_kept(
    truth: Truth, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, lasting: bool, words: str
) -> None:
    results = ResultsFolder(tmp_path / "results", "key", lasting=lasting)
    with pytest.raises(KeyboardInterrupt):
        detect_dataset(truth, _Detector(c=KeyboardInterrupt()), results)
    assert words in caplog.text


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), BundleError("No model.")])
def test_an_evaluation_that_was_ended_goes_on_where_it_was(
    truth: Truth, results: ResultsFolder, ends: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(ends)):
        detect_dataset(truth, _Detector(c=ends), results)
    again, progress = _Detector(), RecordedProgress()
    with caplog.at_level(logging.WARNING):
        found = detect_dataset(truth, again, results, progress=progress)
    assert again.seen == ["c", "d"]
    assert progress.seen == [("Detecting", 2), "step", "step"]
    assert _names(found) == list(NAMES)
    assert "2 of 4 videos were processed before" in caplog.text
    third = _Detector()
    detect_dataset(truth, third, results)
    assert third.seen == []


def test_a_failed_video_is_tried_again(truth: Truth, results: ResultsFolder) -> None:
    detect_dataset(truth, _Detector(b=MediaError("No picture.")), results)
    again = _Detector()
    assert detect_dataset(truth, again, results).failures == {}
    assert again.seen == ["b"]


def test_the_order_in_which_videos_end_is_no_matter(truth: Truth, tmp_path: Path) -> None:
    whole = []
    for name, workers in (("one", 1), ("four", 4)):
        folder = tmp_path / name
        with ThreadPoolExecutor(workers) as executor:
            found = detect_dataset(
                truth, _Detector(), ResultsFolder(folder, "key"), executor=executor
            )
        assert _names(found) == list(NAMES)
        whole.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert whole[0] == whole[1]
