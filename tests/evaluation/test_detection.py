from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.cli import main
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth, read_annotations
from edgekit.detector import Detector
from edgekit.errors import AnnotationError, MediaError
from edgekit.evaluation.detection import detect_videos
from edgekit.metrics.detections import read_detections
from edgekit.metrics.evaluate import evaluate
from edgekit.synthetic.clip import render_clip
from edgekit.targets.base import SessionOptions

BOXES = np.tile([5.0, 5, 50, 60], (3, 1))


def a_video(label=0, path=None):
    return VideoTruth("v", 3, 320, 240, [TruthTube(label, 0, BOXES)], label, path)


def test_a_video_that_is_not_there():
    with pytest.raises(MediaError):
        detect_videos(default_bundle(), Truth(["Biking"], [a_video()]))


def test_a_video_with_another_number_of_frames_is_named(tmp_path):
    for number, image in enumerate(render_clip(1, frames=8, size=(96, 128))):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    with pytest.raises(AnnotationError) as caught:
        detect_videos(default_bundle(), Truth(["Biking"], [a_video(path=tmp_path)]))
    assert caught.value.message == f"{tmp_path} has 8 frames, and its annotation says 3."
    assert "edgekit dataset check" in caught.value.hint


def test_detections_have_the_rate_of_their_video(tmp_path):
    images = [np.ascontiguousarray(image) for image in render_clip(1, frames=8, size=(96, 128))]
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (128, 96))
    for image in images:
        writer.write(image)
    writer.release()
    video = VideoTruth("v", 8, 128, 96, [TruthTube(0, 0, BOXES)], 0, path)
    (saved,) = detect_videos(default_bundle(), Truth(["Biking"], [video])).videos
    assert saved.detections.fps == pytest.approx(10)


def test_a_video_of_another_size_is_named(tmp_path):
    for number, image in enumerate(render_clip(1, frames=8, size=(96, 128))):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    video = replace(a_video(path=tmp_path), frames=8)
    with pytest.raises(MediaError) as caught:
        detect_videos(default_bundle(), Truth(["Biking"], [video]))
    expected = f"{tmp_path} has 128x96 pixels, and its annotation says 320x240."
    assert caught.value.message == expected
    rounded = replace(video, width=129, height=95)
    assert detect_videos(default_bundle(), Truth(["Biking"], [rounded])).videos


def test_a_new_size_is_a_first_frame(tmp_path):
    images = list(render_clip(1, frames=8, size=(96, 128)))
    images[4:] = [cv2.resize(image, None, fx=1.5, fy=1.5) for image in images[4:]]
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    video = VideoTruth("v", 8, 128, 96, [TruthTube(0, 0, BOXES)], 0, tmp_path)
    bundle = default_bundle()
    options = SessionOptions(threads=1)
    (found,) = detect_videos(bundle, Truth(["Biking"], [video]), options=options).videos
    with Detector(bundle, options=options) as detector:
        for number, (image, seen) in enumerate(zip(images, found.detections, strict=True)):
            if number == 4:
                detector.reset()
            expected = detector.detect(image)
            np.testing.assert_allclose(seen.boxes, expected.boxes, atol=1e-4)
            np.testing.assert_allclose(seen.scores, expected.scores, atol=1e-6)


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
