from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from edgekit.errors import UsageError
from edgekit.runtime import native
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.kinds import FIRST_FRAME_RULES, KINDS
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.ssim import SHIFTS

MEAN = np.array([0.40789654, 0.44719302, 0.47026115])
STD = np.array([0.28863828, 0.27408164, 0.27809835])


@pytest.fixture(autouse=True, scope="module", params=["fastest", native.NUMPY])
def kernel(request):
    """Every test runs on what users get, and on what they get without the library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, "" if request.param == "fastest" else request.param)
        yield


def normalised(image, dtype=np.float32):
    return ((image / 255.0 - MEAN) / STD).astype(dtype)


def reference(previous, current, dtype=np.float32, candidates=9):
    """Scores of all shifts, the chosen shift and its map, by scikit-image."""
    previous, current = normalised(previous, dtype), normalised(current, dtype)
    height, width = current.shape[:2]
    padded = np.pad(current, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    scores, maps = [], []
    for dy, dx in SHIFTS[:candidates]:
        shifted = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        span = shifted.max() - shifted.min()
        score, ssim_map = structural_similarity(
            previous, shifted, channel_axis=2, data_range=span, full=True
        )
        scores.append(score)
        maps.append(ssim_map.transpose(2, 0, 1))
    best = max(range(candidates), key=lambda i: (scores[i], i))
    return scores, best, maps[best]


def chosen(cascade, previous, current):
    return cascade._maker.stack(previous, current, np.empty((6, *cascade.size), np.float32))


def read(path: Path, count: int, every: int = 1):
    capture = cv2.VideoCapture(str(path))
    frames = [capture.read()[1] for _ in range(count * every)]
    capture.release()
    return frames[::every]


@pytest.mark.shared
@pytest.mark.parametrize("size", [(288, 288), (128, 160)])
@pytest.mark.parametrize("clip", ["v_Biking_g01_c01", "v_SalsaSpin_g03_c01", "v_Fencing_g01_c06"])
def test_real_frames_equal_scikit_image(shared, clip, size):
    frames = read(shared / "ucf24" / f"{clip}.mp4", 4)
    cascade = Cascade(size, MEAN, STD)
    letterboxed = [Letterbox.fit(f.shape[:2], size).apply(f) for f in frames]
    for previous, current in itertools.pairwise(letterboxed):
        _, shift, expected = reference(previous, current)
        result = cascade.stack(previous, current)
        assert chosen(cascade, previous, current) == shift
        np.testing.assert_allclose(result[3:], expected, atol=2e-4)
        np.testing.assert_allclose(
            result[:3], normalised(current).transpose(2, 0, 1), rtol=1e-6, atol=1e-6
        )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.integers(0, 250),
    contrast=st.integers(1, 6),
    flat=st.booleans(),
)
def test_dark_and_flat_frames_equal_float64(seed, level, contrast, flat):
    rng = np.random.default_rng(seed)
    current = (level + rng.integers(0, contrast, (24, 30, 3))).clip(0, 255).astype(np.uint8)
    current[0, 0] = level + contrast - 1
    previous = (
        np.full_like(current, level)
        if flat
        else (level + rng.integers(0, contrast, current.shape)).clip(0, 255).astype(np.uint8)
    )
    cascade = Cascade((24, 30), MEAN, STD)
    scores, _, _ = reference(previous, current, np.float64)
    shift = chosen(cascade, previous, current)
    assert scores[shift] >= max(scores) - 1e-6
    height, width = cascade.size
    dy, dx = SHIFTS[shift]
    padded = np.pad(normalised(current, np.float64), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    shifted = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    _, expected = structural_similarity(
        normalised(previous, np.float64),
        shifted,
        channel_axis=2,
        data_range=shifted.max() - shifted.min(),
        full=True,
    )
    result = cascade.stack(previous, current)[3:].transpose(1, 2, 0)
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("index", range(9))
def test_a_shifted_picture_is_found(index):
    rng = np.random.default_rng(3)
    large = cv2.GaussianBlur(rng.integers(0, 255, (50, 50, 3), dtype=np.uint8), (5, 5), 1)
    dy, dx = SHIFTS[index]
    current = large[5:45, 5:45]
    previous = large[5 + dy : 45 + dy, 5 + dx : 45 + dx]
    cascade = Cascade((40, 40), MEAN, STD)
    assert chosen(cascade, previous, current) == index


def test_equal_scores_choose_the_identity():
    flat = np.full((20, 20, 3), 90, np.uint8)
    cascade = Cascade((20, 20), MEAN, STD)
    assert chosen(cascade, flat, flat) == 8
    assert np.allclose(cascade.stack(flat, flat)[3:], 1)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_pictures_of_one_value_give_finite_maps(value):
    rng = np.random.default_rng(1)
    flat = np.full((20, 20, 3), value, np.uint8)
    textured = rng.integers(0, 255, flat.shape, dtype=np.uint8)
    cascade = Cascade((20, 20), MEAN, STD)
    for previous, current in ((flat, textured), (textured, flat), (flat, 255 - flat)):
        result = cascade.stack(previous, current)
        assert np.isfinite(result).all()
        assert np.abs(result[3:]).max() <= 1 + 1e-5


def test_kinds():
    rng = np.random.default_rng(5)
    previous, current = rng.integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    by_kind = {k: Cascade((32, 32), MEAN, STD, kind=k).stack(previous, current) for k in KINDS}
    assert by_kind["rgb"].shape == (3, 32, 32)
    assert all(by_kind[k].shape == (6, 32, 32) for k in KINDS if k != "rgb")
    np.testing.assert_allclose(by_kind["dssim"][3:], 0.5 * (1 - by_kind["ssim"][3:]), atol=1e-6)
    same = Cascade((32, 32), MEAN, STD, kind="ssim-shifted")
    assert chosen(same, current, current) != 8
    _, _, expected = reference(current, current, candidates=8)
    np.testing.assert_allclose(same.stack(current, current)[3:], expected, atol=2e-4)


@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("rule", FIRST_FRAME_RULES)
def test_frame_gap_first_frames_and_reset(gap, rule):
    rng = np.random.default_rng(6)
    frames = rng.integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)
    cascade = Cascade((32, 32), MEAN, STD, frame_gap=gap, first_frame=rule)
    for start in (0, 4):
        cascade.reset()
        for index in range(start, start + 4):
            tensor, _ = cascade(frames[index])
            if index - start >= gap:
                previous = frames[index - gap]
            else:
                previous = frames[index] if rule == "repeat" else np.zeros_like(frames[0])
            np.testing.assert_array_equal(tensor[0], cascade.stack(previous, frames[index]))


def test_only_results_that_were_given_back_are_filled_again():
    rng = np.random.default_rng(7)
    pairs = rng.integers(0, 255, (6, 2, 32, 32, 3), dtype=np.uint8)
    expected = [Cascade((32, 32), MEAN, STD).stack(*pair) for pair in pairs]
    cascade = Cascade((32, 32), MEAN, STD)
    held = [cascade.stack(*pair)[None][:, 2:] for pair in pairs]
    for part, whole in zip(held, expected, strict=True):
        np.testing.assert_array_equal(part[0], whole[2:])
    places = set()
    for pair in pairs:
        part = cascade.stack(*pair)[None]
        places.add(part.ctypes.data)
        cascade.release(part)
    assert len(places) == 1


def test_a_result_given_back_twice_is_handed_out_once():
    pair = np.zeros((2, 32, 32, 3), np.uint8)
    cascade = Cascade((32, 32), MEAN, STD)
    result = cascade.stack(*pair)
    cascade.release(result)
    cascade.release(result[None])
    cascade.release(np.zeros((6, 8, 8), np.float32))  # of another cascade
    cascade.release(np.zeros((6, 32, 32)))
    first, second = (cascade.stack(*pair) for _ in range(2))
    assert first.shape == second.shape == (6, 32, 32)
    assert first.dtype == second.dtype == np.float32
    assert first.ctypes.data != second.ctypes.data


@pytest.mark.parametrize("wrong", [{"kind": "flow"}, {"frame_gap": 0}, {"first_frame": "grey"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        Cascade((32, 32), MEAN, STD, **wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_earlier_picture_gives_what_the_one_before_gives(kind):
    random = np.random.default_rng(3)
    pictures = random.integers(0, 256, (6, 40, 50, 3), np.uint8)
    follows, named = (Cascade((32, 32), MEAN, STD, kind=kind) for _ in range(2))
    expected = [follows(picture)[0].copy() for picture in pictures]
    for index in (5, 2, 3, 1):  # whatever was processed before
        found, _ = named(pictures[index], 1.0, pictures[index - 1])
        np.testing.assert_array_equal(found, expected[index])


def test_pictures_with_pixels_of_another_shape_are_compared_in_that_shape():
    first, second = np.random.default_rng(4).integers(0, 256, (2, 40, 50, 3), np.uint8)
    cascade, other = (Cascade((32, 32), MEAN, STD) for _ in range(2))
    cascade(first)
    found, letterbox = cascade(second, 2.0, first)
    assert letterbox == Letterbox.fit((40, 50), (32, 32), 2.0)
    expected, _ = other(second, 2.0, first.copy())
    np.testing.assert_array_equal(found, expected)
