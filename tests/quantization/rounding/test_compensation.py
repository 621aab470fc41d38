"""Tests that rounded weights compensate each other's errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.quantization.rounding import compensation
from edgekit.quantization.rounding.compensation import Moments, rounded

shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 8), st.integers(0, 2**32 - 1)
)


def drawn(shape, *, rows=200):
    groups, outputs, depth, seed = shape
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(groups, depth, depth))
    inputs = random.normal(size=(groups, rows, depth)) @ mixing + random.normal(size=depth)
    weights = random.normal(size=(groups, outputs, depth))
    scale = np.abs(weights).max(2) / 15
    moments = Moments(groups, depth)
    moments.add(inputs)
    return weights, scale, moments, inputs


@given(shapes)
def test_integers_stay_what_they_are(shape):
    weights, scale, moments, _ = drawn(shape)
    whole = np.rint(weights / scale[:, :, None])
    np.testing.assert_array_equal(rounded(whole * scale[:, :, None], scale, moments), whole)


@given(shapes)
def test_what_comes_out_are_whole_numbers_in_range(shape):
    weights, scale, moments, _ = drawn(shape)
    found = rounded(weights, scale / 20, moments)  # some are far out of range
    np.testing.assert_array_equal(found, np.rint(found))
    assert np.abs(found).max() <= 127


@given(shapes)
def test_inputs_that_have_nothing_to_do_with_each_other_leave_nothing_to_make_good(shape):
    weights, scale, moments, _ = drawn(shape)
    depth = weights.shape[2]
    moments.square *= np.eye(depth)
    plain = np.rint(weights / scale[:, :, None])
    np.testing.assert_array_equal(rounded(weights, scale, moments), plain)


def test_errors_on_like_inputs_cancel():
    weights, scale, moments, inputs = drawn((4, 32, 64, 1), rows=2000)
    before, after = (
        np.square(inputs @ (weights - whole * scale[:, :, None]).swapaxes(1, 2)).sum()
        for whole in (np.rint(weights / scale[:, :, None]), rounded(weights, scale, moments))
    )
    assert after < 0.5 * before


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_inputs_are_no_obstacle(rows):
    weights, scale, moments, _ = drawn((2, 3, 5, 0), rows=rows)
    assert np.isfinite(rounded(weights, scale, moments)).all()
    assert np.isfinite(moments.mean).all()


def test_weights_are_made_good_alike_within_a_block_and_beyond(monkeypatch):
    weights, scale, moments, _ = drawn((2, 5, 70, 3), rows=2000)
    found = rounded(weights, scale, moments)
    monkeypatch.setattr(compensation, "_BLOCK", 70)
    np.testing.assert_array_equal(rounded(weights, scale, moments), found)
