"""Tests that frames processed under load have the same results as in a full run."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.benchmarks import under_load
from edgekit.benchmarks.under_load import ages_under_load, detect_under_load, measure_under_load
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.detector import Detector
from edgekit.errors import MediaError
from edgekit.media import open_source
from edgekit.synthetic import write_dataset

FRAMES = 20


@pytest.fixture(scope="module")
def detector():
    with Detector(default_bundle()) as detector:
        yield detector


@pytest.fixture(scope="module")
def truth(tmp_path_factory, detector):
    root = tmp_path_factory.mktemp("load") / "clips"
    write_dataset(root, [162], frames=FRAMES)
    return in_classes_of(detector.classes, read_truth("json", root))


@pytest.mark.parametrize("every", [2, 3, 8])
def test_a_frame_taken_under_load_is_what_it_is_without(detector, truth, every):
    (video,) = truth.videos
    full = detect_under_load(detector, video, 1)
    assert None not in full
    found = detect_under_load(detector, video, every)
    taken = [index for index, one in enumerate(found) if one is not None]
    # The newest one is taken, so the last of the clip is whatever rest there is.
    assert taken == [*range(0, FRAMES, every), *([FRAMES - 1] if (FRAMES - 1) % every else [])]
    for index in taken:
        np.testing.assert_array_equal(found[index].boxes, full[index].boxes)
        np.testing.assert_array_equal(found[index].scores, full[index].scores)


def test_all_shares_are_measured(detector, truth, monkeypatch):
    monkeypatch.setattr(under_load, "EVERY", (1, 5))
    monkeypatch.setattr(under_load, "_SECONDS", 0.4)
    each, fifth = measure_under_load(detector, truth, str(truth.videos[0].path))
    assert (each.every, each.taken, each.frames) == (1, FRAMES, FRAMES)
    assert (fifth.every, fifth.taken, fifth.frames) == (5, 5, FRAMES)
    assert 0 < fifth.frame_map == fifth.frame_map_full <= 1
    assert 0 <= fifth.age_p50 <= fifth.age_longest


@pytest.mark.parametrize("every", [1, 3])
def test_a_video_that_fails_midway_is_an_error_and_no_wait_for_ever(
    detector, truth, every, monkeypatch
):
    def failing(path):
        source = open_source(path)
        read = source.read

        def read_some():
            if source.position == 5:
                raise MediaError("It is cut short.")
            return read()

        monkeypatch.setattr(source, "read", read_some)
        return source

    monkeypatch.setattr(under_load, "open_source", failing)
    with pytest.raises(MediaError, match="cut short"):
        detect_under_load(detector, truth.videos[0], every)


def test_the_age_counts_from_when_a_frame_was_due(detector, truth, monkeypatch):
    monkeypatch.setattr(under_load, "_SECONDS", 0.6)
    ages = ages_under_load(detector, str(truth.videos[0].path), 5)
    assert 1 < len(ages) < FRAMES
    assert all(age >= 0 for age in ages)
