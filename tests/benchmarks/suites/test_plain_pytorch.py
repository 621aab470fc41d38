"""Tests that the plain PyTorch pipeline and EdgeKit find the same."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from edgekit.benchmarks.protocol import Lap
from edgekit.benchmarks.suites.speed.plain_pytorch import _alike, _line, _PlayedRow
from edgekit.benchmarks.suites.support.networks import exported, quantized, random_weights
from edgekit.bundle import load_bundle
from edgekit.calibration.store import Store
from edgekit.detector import Detector
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.dcn import LOWERINGS
from edgekit.runtime.types import Detections

SIDE = 64


@pytest.fixture(scope="module")
def store(own_networks, tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def weights(store):
    return random_weights(store, "small-deformable", classes=24, side=SIDE)


@pytest.fixture(scope="module")
def pictures():
    """A noisy scene over which a camera moves."""
    scene = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    scene = scene.repeat(4, 0).repeat(4, 1)
    return [scene[n : n + 60, 2 * n : 2 * n + 90] for n in range(8)]


def test_weights_of_one_seed_are_made_once(store, weights):
    assert random_weights(store, "small-deformable", classes=24, side=SIDE) == weights
    spec = load_checkpoint(weights).spec
    assert (spec.arch, spec.classes, spec.channels) == ("small-deformable", 24, 6)


def test_the_shipped_network_can_be_made_for_other_classes(store, pictures):
    weights = random_weights(store, "lite0", classes=5, side=SIDE)
    with Detector(exported(store, weights, "onnx", SIDE)) as detector:
        found = [detector.detect(picture) for picture in pictures]
    assert {len(frame.scores[0]) for frame in found} == {5}
    assert all(0 < (frame.scores > 0.3).any(1).sum() < 50 for frame in found)


def test_both_pipelines_find_the_same_and_the_integers_find_something(
    store, weights, pictures, tmp_path, monkeypatch
):
    import cv2

    from edgekit.benchmarks.suites.speed import _plain_pipeline

    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 25, (90, 60))
    for picture in [*pictures, *pictures[::-1]]:
        writer.write(picture)
    writer.release()
    bundle = exported(store, weights, "onnx", SIDE)
    plain = _plain_pipeline.PlainPipeline(weights, SIDE)
    stages: dict[str, float] = {}
    with Detector(bundle) as detector:
        for number, picture in enumerate(pictures):
            theirs, ours = plain.frame(picture, stages), detector.detect(picture)
            assert 0 < (ours.scores > 0.3).any(1).sum() < 50
            assert number == 0 or _alike(theirs, ours)
    assert list(stages) == ["cascade", "network", "decode", "link"]
    int8 = quantized(store, bundle, clip)
    assert load_bundle(int8).manifest.precision == "int8"
    assert quantized(store, bundle, clip) == int8
    with Detector(int8) as detector:
        assert len(detector.detect(pictures[0]))
    assert plain.lowering in LOWERINGS
    monkeypatch.setattr(_plain_pipeline, "_pipeline", plain, raising=False)
    lap = _plain_pipeline.play_plain(clip, 12)
    assert len(lap.stages) == 16 - 6
    assert lap.passed == 16


def test_other_boxes_are_not_alike():
    box = np.array([[0, 0, 10, 10]], np.float32)
    one, other = (np.array([[score, 0]], np.float32) for score in (0.5, 0.6))
    assert _alike(Detections(box, one), Detections(box + 0.01, one))
    assert not _alike(Detections(box, one), Detections(box + 1, one))
    assert not _alike(Detections(box, one), Detections(box, other))
    assert not _alike(Detections(box, one), Detections(box, one[:, ::-1]))
    assert not _alike(Detections(box, one), Detections.empty(2))


def test_the_ratio_is_the_median_of_the_rounds_own(make_lap):
    def lane(*seconds: float, bound: float | None = None) -> _PlayedRow:
        laps: list[Lap] = [make_lap(seconds=20 * each) for each in seconds]
        return _PlayedRow("a way", "f32", lambda: laps[0], laps, bound)

    plain, ours = lane(0.1, 0.4, 0.1), lane(0.05, 0.1, 0.02, bound=2.5)
    cells = [cell.strip() for cell in _line(ours, plain).strip("|").split("|")]
    assert cells[:5] == ["a way", "f32", "50.0", f"{statistics.median([2, 4, 5]):.2f}x", "2.5x"]
    assert cells[5:] == ["0.50", "0.50", "10.00", "0.50", "0.50", "0.50"]
