from __future__ import annotations

import numpy as np
import pytest

from edgekit.linking.choices import LINKS
from edgekit.linking.registry import make_linker
from edgekit.metrics.analysis.early import SHARES, early_labels
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Detections


def _frames(labels: list[int | None], missing: int | None = None) -> FrameDetections:
    """One actor with the given class in each frame; None for no detection."""
    frames: list[Detections | None] = []
    for number, label in enumerate(labels):
        if number == missing:
            frames.append(None)
        elif label is None:
            frames.append(Detections.empty(2))
        else:
            scores = np.zeros((1, 2))
            scores[0, label] = 0.9
            frames.append(Detections(np.array([[50.0, 60, 150, 200]]), scores))
    return FrameDetections.of(frames, 2)


@pytest.mark.parametrize("link", LINKS)
def test_an_actor_from_the_beginning(link: str) -> None:
    linker = make_linker(link, 2)
    seen = early_labels(_frames([1] * 60, missing=30), {1}, 2, linker)
    assert seen == [True] * len(SHARES)


def test_what_comes_later_is_not_known_earlier() -> None:
    frames = _frames([None] * 30 + [1] * 30)
    seen = early_labels(frames, {1}, 2, make_linker("edgekit", 2))
    assert seen == [False] * 5 + [True] * 5


def test_a_class_that_changes() -> None:
    frames = _frames([0] * 10 + [1] * 90)
    seen = early_labels(frames, {1}, 2, make_linker("edgekit", 2))
    assert (seen[0], seen[-1]) == (False, True)


@pytest.mark.parametrize("length", [1, 3, 7])
def test_a_video_with_fewer_frames_than_shares(length: int) -> None:
    seen = early_labels(_frames([1] * length), {1}, 2, make_linker("edgekit", 2, min_hits=1))
    assert seen == [True] * len(SHARES)
