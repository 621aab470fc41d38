from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.analysis.errors import Entries, ErrorKind, repaired_ap
from edgekit.metrics.analysis.frame_errors import frame_entries
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_map import frame_average_precision, match_boxes, match_frames
from edgekit.runtime.types import Detections
from tests.metrics.analysis.made import random_tubes

CLASSES = 3
Frames = list[Detections | None]


def _video(seed: int, frames: int, most: int) -> Frames:
    """Boxes at few places, so that many overlap annotated ones and each other."""
    random = np.random.default_rng(seed)
    found: Frames = []
    for _ in range(frames):
        count = int(random.integers(0, most + 1))
        corner = random.integers(0, 5, (count, 2)) * 10.0
        boxes = np.concatenate((corner, corner + 40), 1)
        scores = random.integers(0, 5, (count, CLASSES)) / 4
        found.append(None if random.random() < 0.1 else Detections(boxes, scores))
    return found


def _entries(frames: Frames, truth: Sequence[TruthTube], annotated_only: bool = False) -> Entries:
    found = FrameDetections.of(frames, CLASSES)
    matches = match_boxes(found, truth, any_class=False, growth=0.0, annotated_only=annotated_only)
    entries, rows = frame_entries(matches, truth, found.counts)
    assert len(rows) == len(entries.truth)
    return entries


videos = st.builds(_video, st.integers(0, 10**6), st.integers(1, 8), st.sampled_from([2, 6]))


@given(videos, st.integers(0, 10**6), st.booleans())
def test_the_entries_give_the_frame_ap(frames: Frames, seed: int, annotated_only: bool) -> None:
    truth = random_tubes(seed, len(frames), CLASSES)
    matches = match_frames(
        frames, truth, CLASSES, any_class=False, growth=0.0, annotated_only=annotated_only
    )
    entries = _entries(frames, truth, annotated_only)
    np.testing.assert_array_equal(
        repaired_ap(entries, CLASSES), frame_average_precision([matches], CLASSES)
    )
    np.testing.assert_array_equal(entries.kinds == ErrorKind.CORRECT, matches.hits)
    np.testing.assert_array_equal(np.bincount(entries.truth, minlength=CLASSES), matches.total)
    found = repaired_ap(entries, CLASSES, list(ErrorKind)[1:])
    np.testing.assert_array_equal(found[~np.isnan(found)], 1.0)


@given(videos, st.integers(0, 10**6))
def test_a_box_means_an_annotated_box_of_its_frame(frames: Frames, seed: int) -> None:
    truth = random_tubes(seed, len(frames), CLASSES)
    entries = _entries(frames, truth)
    means = entries.targets >= 0
    np.testing.assert_array_equal(
        means, np.isin(entries.kinds, [ErrorKind.CORRECT, ErrorKind.CLASS, ErrorKind.PLACE])
    )
    same = entries.truth[entries.targets[means]] == entries.labels[means]
    np.testing.assert_array_equal(same, entries.kinds[means] != ErrorKind.CLASS)


A, B = [0.0, 0.0, 40.0, 40.0], [100.0, 0.0, 140.0, 40.0]


@pytest.mark.parametrize(
    ("box", "label", "kind"),
    [
        (A, 0, ErrorKind.DOUBLE),  # after the better box on A, which every case has
        (B, 0, ErrorKind.CLASS),
        ([0.0, 25.0, 40.0, 65.0], 0, ErrorKind.PLACE),
        ([100.0, 25.0, 140.0, 65.0], 0, ErrorKind.BOTH),
        ([200.0, 0.0, 240.0, 40.0], 0, ErrorKind.BACKGROUND),
        (A, 2, ErrorKind.CLASS),
    ],
)
def test_what_is_wrong_with_a_box(box: list[float], label: int, kind: ErrorKind) -> None:
    truth = [TruthTube(0, 0, np.array([A])), TruthTube(1, 0, np.array([B]))]
    scores = np.zeros((2, CLASSES))
    scores[0, 0], scores[1, label] = 0.9, 0.5
    boxes = np.array([A, box])
    if kind == ErrorKind.DOUBLE:
        # Both overlap A by half, and each other too little for the worse to be suppressed.
        boxes[:, 1::2] += [[-12.0], [12.0]]
    entries = _entries([Detections(boxes, scores)], truth)
    assert entries.kinds[entries.scores == 0.9].tolist() == [ErrorKind.CORRECT]
    assert entries.kinds[entries.scores == 0.5].tolist() == [kind]


def test_boxes_of_frames_that_were_not_processed_do_not_count() -> None:
    truth = [TruthTube(0, 0, np.array([A, A, A]))]
    scores = np.array([[0.9, 0.0, 0.0]])
    frames: Frames = [Detections(np.array([A]), scores), None, Detections.empty(CLASSES)]
    entries = _entries(frames, truth)
    assert len(entries.truth) == 2
    assert entries.counts()[ErrorKind.MISSED] == 1
