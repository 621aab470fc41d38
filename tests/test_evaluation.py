from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.cli import main
from edgekit.errors import AnnotationError, MediaError
from edgekit.evaluation import detect_videos, in_classes_of
from edgekit.metrics.annotations import Truth, TruthTube, VideoTruth, read_annotations
from edgekit.metrics.detections import read_detections
from edgekit.metrics.evaluate import evaluate

BOXES = np.tile([5.0, 5, 50, 60], (3, 1))


def a_video(label=0, path=None):
    return VideoTruth("v", 3, 320, 240, [TruthTube(label, 0, BOXES)], label, path)


def test_labels_are_matched_by_name():
    truth = in_classes_of(("a", "b", "c"), Truth(["c", "a"], [a_video(0), a_video(1)]))
    assert truth.classes == ["a", "b", "c"]
    assert [video.tubes[0].label for video in truth.videos] == [2, 0]
    assert [video.label for video in truth.videos] == [2, 0]


def test_classes_that_the_bundle_does_not_know_are_named():
    with pytest.raises(AnnotationError, match=r"does not know: flying\."):
        in_classes_of(("a", "b"), Truth(["a", "flying"], [a_video(0), a_video(1)]))
    # A class of the dataset that nobody is annotated with does no harm.
    in_classes_of(("a", "b"), Truth(["a", "flying"], [a_video(0)]))


def test_a_video_that_is_not_there():
    with pytest.raises(MediaError):
        detect_videos(default_bundle(), Truth(["Biking"], [a_video()]))


@pytest.mark.shared
def test_the_shipped_model_on_a_real_clip(shared, tmp_path, capsys):
    whole = read_annotations(shared / "ucf24" / "annotations.json")
    names = {"v_HorseRiding_g01_c03.mp4", "v_Biking_g01_c01.mp4"}
    truth = replace(whole, videos=[video for video in whole.videos if video.name in names])
    saved = detect_videos(default_bundle(), truth)
    result = evaluate(saved)
    assert result.frame_map > 0.8
    assert result.frames == sum(video.frames for video in truth.videos)

    # What run saves of the same clip is what eval sees.
    name = "v_HorseRiding_g01_c03.mp4"
    file = tmp_path / "found.json.gz"
    source = str(shared / "ucf24" / name)
    assert main(["run", "--source", source, "--save-detections", str(file)]) == 0
    capsys.readouterr()
    (again,) = read_detections(file).videos
    (first,) = (video for video in saved.videos if video.truth.name == name)
    for one, other in zip(first.detections, again.detections, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
