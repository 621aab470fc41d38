from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.runtime.cascade import Cascade
from edgekit.training.data import augmentation
from edgekit.training.data.frame_reader import Picture
from edgekit.training.data.targets import STRIDE, Sample
from edgekit.training.samples import augmented_sample
from edgekit.training.settings import AUGMENTATIONS

MEAN, STD = (0.4, 0.4, 0.4), (0.3, 0.3, 0.3)


def sample_of(
    box: tuple[int, int, int, int],
    cascade: Cascade,
    seed: int,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    kind: str = "wide",
) -> Sample:
    """Returns a sample of a still clip with a white box, stored at some scale."""
    image = np.full((96, 128, 3), 60, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 230
    if scale != (1.0, 1.0):
        matrix = np.array([[scale[0], 0, 0], [0, scale[1], 0]])
        stored = (round(128 * scale[0]), round(96 * scale[1]))
        image = cv2.warpAffine(image, matrix, stored).astype(np.uint8)
    picture = Picture(image, (96, 128), scale)
    boxes = np.array([box], float)
    rng = np.random.default_rng(seed)
    return augmented_sample(lambda index: picture, 1, boxes, [1], cascade, 3, 1, rng, kind)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([(1.0, 1.0), (0.75, 0.5)]),
    kind=st.sampled_from(AUGMENTATIONS),
)
def test_the_truth_follows_the_picture(seed, scale, kind):
    cascade = Cascade((128, 128), MEAN, STD)
    sample = sample_of((40, 24, 84, 72), cascade, seed, scale=scale, kind=kind)
    if not sample.mask[0]:
        return
    bright = sample.input[0] > sample.input[0].max() - 0.05
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    grid = 128 // STRIDE
    row, column = divmod(int(sample.cells[0]), grid)
    centre = (np.array([column, row]) + sample.offsets[0]) * STRIDE
    size = sample.sizes[0] * STRIDE
    truth = np.concatenate([centre - size / 2, centre + size / 2])
    np.testing.assert_allclose(truth, seen, atol=3 / min(scale))
    assert sample.heatmap[1, row, column] == 1
    assert sample.heatmap[[0, 2]].max() == 0


def test_both_frames_change_alike():
    cascade = Cascade((128, 128), MEAN, STD)
    for seed in range(8):
        still = sample_of((40, 24, 84, 72), cascade, seed).input[3:]
        first_frame = np.allclose(still[:, 40:80, 40:80].mean(), 1, atol=1e-4)
        assert first_frame or seed == 0 or still.mean() < 0.9
    assert np.allclose(still, 1, atol=1e-4)


@pytest.mark.parametrize(("gap", "expected"), [(1, {1, 2}), (2, {1, 2, 3, 4})])
def test_the_earlier_picture_is_half_to_twice_as_far_back(gap, expected):
    """A camera of another rate gives other intervals than the annotated clip."""
    seen = set()

    class Recorded(Cascade):
        def stack(self, previous, current):
            seen.add(round((float(current.max()) - float(previous.max())) / 10))
            return super().stack(previous, current)

    def read(index):
        return Picture(np.full((32, 32, 3), 10 * index, np.uint8), (32, 32))

    nobody = np.zeros((0, 4)), []
    cascade = Recorded((32, 32), MEAN, STD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            augmentation, "_colour_table", lambda rng: np.arange(256, dtype=np.uint8)[None]
        )
        patch.setattr(augmentation, "_FIRST_FRAME_SHARE", 0.0)
        for seed in range(60):
            augmented_sample(read, 8, *nobody, cascade, 1, gap, np.random.default_rng(seed))
    assert seen == expected
