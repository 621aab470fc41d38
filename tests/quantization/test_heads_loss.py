from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekit.calibration.samples import extract
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.datasets.annotations import TruthTube
from edgekit.errors import CalibrationError
from edgekit.quantization.heads_loss import HeadsLoss, truth_of


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def samples(spotter, spots, store):
    return extract(spotter, find_sequences(spots), [[4, 9], [3, 7, 11]], store)


def test_the_truth_of_a_sample_is_what_its_sequence_has_there(samples):
    boxes = np.arange(8 * 4, dtype=float).reshape(8, 4)
    found = truth_of(samples, [[TruthTube(1, 2, boxes)], [TruthTube(0, 4, boxes)]])
    assert [[label for label, _ in actions] for actions in found] == [[1], [1], [], [0], [0]]
    np.testing.assert_array_equal(found[1][0][1], boxes[7])
    np.testing.assert_array_equal(found[3][0][1], boxes[3])


def test_without_annotations_the_float_model_says_what_is_there(spotter, samples, store):
    found = HeadsLoss(spotter, samples, store).measure(spotter)
    assert (found.annotated, found.frames, found.objects) == (False, 5, 5)
    assert (found.float_map, found.drop, found.agreement) == (1, 0, 1)


def test_annotations_of_other_places_are_found_nowhere(spotter, samples, store):
    corner = [[(0, np.array([0.0, 0, 1, 1]))] for _ in samples]
    found = HeadsLoss(spotter, samples, store, truth=corner).measure(spotter)
    assert (found.annotated, found.float_map, found.agreement) == (True, 0, 1)


def test_a_loss_without_ground_truth_says_what_is_missing(spotter, samples, store):
    with pytest.raises(
        CalibrationError, match=r"None of the 5 frames .* annotated action"
    ) as error:
        HeadsLoss(spotter, samples, store, truth=[[] for _ in samples])
    assert "leave out annotations" in error.value.hint
    dark = np.zeros_like(samples.pairs)
    samples.pairs = dark
    with pytest.raises(CalibrationError, match=r"detects nothing with a score above 0\.3"):
        HeadsLoss(spotter, samples, Store(store.path / "other"))


def test_layers_are_measured_in_frames_in_which_something_is_found(spotter, tmp_path, store):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 64))
    for frame in range(40):
        image = np.zeros((64, 64, 3), np.uint8)
        if frame in (21, 23, 25):
            cv2.circle(image, (frame, 32), 7, (255, 255, 255), cv2.FILLED)
        writer.write(cv2.GaussianBlur(image, (0, 0), 3))
    writer.release()
    footage = find_sequences(tmp_path / "a.avi")
    samples = extract(spotter, footage, [[*range(1, 40)]], store)
    telling = HeadsLoss(spotter, samples, store).telling(2)
    assert [place.frame for place in telling.places] == [21, 25]
    found = HeadsLoss(spotter, telling, store).measure(spotter)
    assert (found.frames, found.objects, found.agreement) == (2, 2, 1)
    none = samples.some([0, 3, 6])
    annotated = HeadsLoss(spotter, none, store, truth=[[(0, np.array([0.0, 0, 9, 9]))]] * 3)
    assert annotated.telling(2).places == (none.places[0], none.places[2])
