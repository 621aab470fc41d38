from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.datasets.annotations import VideoTruth
from edgekit.errors import MediaError
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import peaks
from edgekit.training import samples
from edgekit.training.samples import STRIDE, TrainingClip, augmented_sample, load_clip, targets

MEAN, STD = (0.4, 0.4, 0.4), (0.3, 0.3, 0.3)


def clip_of_a_white_box(box, size=(96, 128), frames=3):
    image = np.full((*size, 3), 60, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 230
    boxes = [np.array([box], float)] * frames
    return TrainingClip("clip", 1, np.stack([image] * frames), boxes, [np.array([1])] * frames)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_truth_follows_the_picture(seed):
    clip = clip_of_a_white_box((40, 24, 84, 72))
    cascade = Cascade((128, 128), MEAN, STD)
    sample = augmented_sample(clip, 1, cascade, 3, 1, np.random.default_rng(seed))
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
    np.testing.assert_allclose(truth, seen, atol=3)
    assert sample.heatmap[1, row, column] == 1
    assert sample.heatmap[[0, 2]].max() == 0


def test_both_frames_change_alike():
    clip = clip_of_a_white_box((40, 24, 84, 72))
    cascade = Cascade((128, 128), MEAN, STD)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        still = augmented_sample(clip, 1, cascade, 3, 1, rng).input[3:]
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

    frames = np.stack([np.full((32, 32, 3), 10 * index, np.uint8) for index in range(9)])
    nobody = [np.zeros((0, 4))] * 9, [np.zeros(0, int)] * 9
    clip = TrainingClip("clip", -1, frames, *nobody)
    cascade = Recorded((32, 32), MEAN, STD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "_colour_table", lambda rng: np.arange(256, dtype=np.uint8)[None])
        patch.setattr(samples, "_FIRST_FRAME_SHARE", 0.0)
        for seed in range(60):
            augmented_sample(clip, 8, cascade, 1, gap, np.random.default_rng(seed))
    assert seen == expected


@settings(max_examples=50, deadline=None)
@given(x=st.floats(0, 120), y=st.floats(0, 120), w=st.floats(8, 100), h=st.floats(8, 100))
def test_targets_decode_to_their_boxes(x, y, w, h):
    box = np.array([x, y, min(x + w, 128), min(y + h, 128)])
    if min(box[2:] - box[:2]) < STRIDE:
        return
    sample = targets(np.zeros((6, 128, 128), np.float32), box[None], [2], 4)
    grid = 128 // STRIDE
    maps = {"hm": np.log(sample.heatmap + 1e-6)[None]}
    for name, values in (("wh", sample.sizes), ("reg", sample.offsets)):
        flat = np.zeros((2, grid * grid), np.float32)
        flat[:, sample.cells[0]] = values[0]
        maps[name] = flat.reshape(1, 2, grid, grid)
    best = peaks(maps, 1, STRIDE)[0]
    np.testing.assert_allclose(best[:4], box, atol=1e-3)
    assert best[5] == 2


def test_two_actors_keep_the_larger_value():
    boxes = np.array([[8, 8, 72, 72], [24, 24, 88, 88]], float)
    both = targets(np.zeros((3, 96, 96), np.float32), boxes, [0, 0], 1).heatmap
    each = [targets(np.zeros((3, 96, 96), np.float32), b[None], [0], 1).heatmap for b in boxes]
    np.testing.assert_array_equal(both, np.maximum(*each))


@pytest.mark.parametrize("box", [[200, 0, 240, 40], [10, 10, 12, 40]])
def test_actors_outside_or_too_small_are_left_out(box):
    sample = targets(np.zeros((3, 96, 96), np.float32), np.array([box], float), [0], 1)
    assert sample.mask.sum() == 0
    assert sample.heatmap.max() == 0


def test_a_clip_is_a_file_and_no_source_of_another_kind():
    video = VideoTruth("v", 3, 128, 96, path=Path("videotestsrc ! fakesink"))
    with pytest.raises(MediaError, match="There is no file or folder videotestsrc"):
        load_clip(video)
