from __future__ import annotations

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
