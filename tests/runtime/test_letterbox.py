from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.letterbox import Letterbox

sides = st.integers(16, 2000)
aspects = st.floats(0.2, 5.0)


def to_input(box, boxes):
    """Returns boxes in source pixels as input pixels."""
    return boxes * ([box.scale_x, box.scale] * 2) + [box.left, box.top] * 2


@given(
    height=sides,
    width=sides,
    rows=st.integers(2, 20),
    columns=st.integers(2, 20),
    aspect=aspects,
)
def test_the_picture_fits_centred(height, width, rows, columns, aspect):
    box = Letterbox.fit((height, width), (32 * rows, 32 * columns), aspect)
    assert box.left >= -1e-9
    assert box.top >= -1e-9
    assert min(box.left, box.top) == pytest.approx(0, abs=1e-9)
    assert 2 * box.left + box.scale_x * width == pytest.approx(box.width)
    assert 2 * box.top + box.scale * height == pytest.approx(box.height)


@given(
    source=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    target=st.tuples(st.sampled_from([64, 256, 288]), st.sampled_from([64, 256, 512])),
    seed=st.integers(0, 1000),
    aspect=aspects,
)
def test_boxes_come_back(source, target, seed, aspect):
    box = Letterbox.fit(source, target, aspect)
    corners = np.random.default_rng(seed).uniform(0, 1, (5, 2, 2))
    boxes = np.sort(corners, 1).reshape(5, 4) * (source[1], source[0], source[1], source[0])
    inside = to_input(box, boxes)
    assert inside.min() >= -1e-9
    assert (inside <= np.array([target[1], target[0]] * 2) + 1e-9).all()
    np.testing.assert_allclose(box.to_source(inside), boxes, atol=1e-6 * max(source))


def test_boxes_are_clipped_to_the_picture():
    box = Letterbox.fit((240, 320), (256, 256))
    wide = np.array([[-50.0, -50, 400, 400]])
    np.testing.assert_allclose(box.to_source(wide), [[0, 0, 320, 240]])


def test_a_square_input_scales_by_the_longer_side():
    for size in ((240, 320), (320, 240)):
        assert Letterbox.fit(size, (256, 256)).scale == 256 / 320


def test_the_picture_lies_where_its_boxes_do():
    image = np.zeros((120, 240, 3), np.uint8)
    image[40:80, 60:180] = 255
    box = Letterbox.fit((120, 240), (128, 128))
    bright = np.argwhere(box.apply(image)[:, :, 0] > 127)
    found = [bright[:, 1].min(), bright[:, 0].min(), bright[:, 1].max() + 1, bright[:, 0].max() + 1]
    expected = to_input(box, np.array([[60.0, 40.0, 180.0, 80.0]]))[0]
    np.testing.assert_allclose(found, expected, atol=1)


def test_bars_are_black_and_the_picture_keeps_its_place():
    image = np.full((100, 200, 3), 200, np.uint8)
    image[48:52, 98:102] = 0
    fitted = Letterbox.fit(image.shape[:2], (200, 200)).apply(image)
    assert fitted.shape == (200, 200, 3)
    assert (fitted[:49] == 0).all()
    assert (fitted[151:] == 0).all()
    assert (fitted[60:90] == 200).all()
    assert (fitted[99:101, 99:101] == 0).all()


@given(height=sides, width=sides, aspect=aspects)
def test_pixels_that_are_not_square_lie_as_the_video_shows_them(height, width, aspect):
    box = Letterbox.fit((height, width), (256, 288), aspect)
    x1, y1, x2, y2 = to_input(box, np.array([[0.0, 0.0, width, height]]))[0]
    assert (x2 - x1) / (y2 - y1) == pytest.approx(width * aspect / height)


def test_a_squeezed_picture_fits_as_the_one_that_it_was_made_of():
    rng = np.random.default_rng(3)
    squeezed = np.repeat(rng.integers(0, 255, (48, 8, 3), np.uint8), 4, axis=1)
    wide = np.repeat(squeezed, 2, axis=1)
    expected = Letterbox.fit((48, 64), (96, 96)).apply(wide)
    found = Letterbox.fit((48, 32), (96, 96), 2.0).apply(squeezed)
    assert np.abs(found.astype(int) - expected).mean() < 4
