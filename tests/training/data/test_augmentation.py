"""Random changes of samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.letterbox import Letterbox
from edgekit.training import settings
from edgekit.training.data.augmentation import AUGMENTATIONS, LARGEST_SCALES, Augmentation

PICTURE, SIZE = (240, 320), (256, 256)


def drawn(kind: str, seed: int, index: int = 9, gap: int = 2) -> Augmentation:
    fit = Letterbox.fit(PICTURE, SIZE, 1.0)
    return AUGMENTATIONS[kind](PICTURE, fit, SIZE, index, gap, np.random.default_rng(seed))


def test_all_have_a_name_and_a_largest_scale() -> None:
    assert tuple(AUGMENTATIONS) == tuple(LARGEST_SCALES) == settings.AUGMENTATIONS


@given(seed=st.integers(0, 100_000), kind=st.sampled_from(settings.AUGMENTATIONS))
def test_no_scale_exceeds_what_is_stored(seed: int, kind: str) -> None:
    fit = Letterbox.fit(PICTURE, SIZE, 1.0).scale
    assert np.abs(drawn(kind, seed).linear).max() <= LARGEST_SCALES[kind] * fit * (1 + 1e-9)


@given(seed=st.integers(0, 100_000))
def test_crops_of_centernet(seed: int) -> None:
    """A crop is 0.6 to 1.3 times the larger side, and its centre keeps off the edges."""
    found = drawn("centernet", seed)
    assert found.linear[1] == abs(found.linear[0])
    side = SIZE[0] / found.linear[1] / 320
    assert round(side * 10) in range(6, 14)
    assert side * 10 == pytest.approx(round(side * 10))
    x, y = (np.array(SIZE) / 2 - found.offset) / found.linear
    assert 128 - 1e-6 <= x < 320 - 128
    assert 64 - 1e-6 <= y < 240 - 64


@pytest.mark.parametrize(("index", "distance"), [(0, None), (1, None), (2, 2), (9, 2)])
def test_the_earlier_picture_of_centernet_is_one_interval_back(
    index: int, distance: int | None
) -> None:
    assert drawn("centernet", 3, index).distance == distance


def test_colours_of_centernet() -> None:
    """A grey picture keeps its order of levels; both frames have colours of their own."""
    levels = np.arange(256, dtype=np.uint8)
    image = np.repeat(levels[None, :, None], 3, 2)
    for seed in range(20):
        found = drawn("centernet", seed)
        current = found.current(image).astype(int)
        assert (np.diff(current[0], axis=0) >= 0).all()
        assert (current != found.previous(image)).any()
        tint = current - current.mean(2, keepdims=True)
        inside = ((current > 0) & (current < 255)).all(2)
        assert np.abs(tint[inside]).max() < 255 * 0.1 * 4 * 0.22
    assert image[0, 100, 0] == 100


def test_wide_changes_both_frames_alike() -> None:
    found = drawn("wide", 1)
    assert found.current is found.previous
