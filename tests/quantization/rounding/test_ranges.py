from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper

from edgekit.errors import CalibrationError
from edgekit.quantization.choices import METHODS
from edgekit.quantization.rounding.ranges import (
    Histogram,
    activations,
    choose_range,
    load_histograms,
    rounding_noise,
    save_histograms,
)

ARRAYS = st.lists(
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)),
    min_size=1,
    max_size=5,
)


def seen(arrays):
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    return histogram


@given(ARRAYS)
def test_extremes_are_exact_and_every_value_counts(arrays):
    histogram = seen(arrays)
    values = np.concatenate(arrays)
    assert histogram.low == values.min()
    assert histogram.high == values.max()
    assert histogram.counts.sum() == len(values)
    assert histogram.reach >= np.abs(values).max()


@given(ARRAYS)
@example([np.float32([32768]), np.float32([-2.1e-44])])
def test_the_order_of_samples_does_not_matter(arrays):
    one, other = seen(arrays), seen(arrays[::-1])
    assert one.reach == other.reach
    np.testing.assert_array_equal(one.counts, other.counts)


@settings(max_examples=25)
@given(ARRAYS, st.sampled_from(METHODS))
def test_a_range_holds_zero_and_no_more_than_there_was(arrays, method):
    histogram = seen(arrays)
    low, high = choose_range(histogram, method)
    assert min(histogram.low, 0) <= low <= 0 <= high <= max(histogram.high, 0)
    if method == "minmax":
        assert (low, high) == (min(histogram.low, 0), max(histogram.high, 0))


def test_percentile_leaves_out_what_is_rare():
    values = np.random.default_rng(0).normal(size=60_000).astype(np.float32)
    low, high = choose_range(seen([values, np.array([20], np.float32)]), "percentile")
    assert -5 < low < -3
    assert 3 < high < 5


def rounding_error(values, low, high):
    step = (high - low) / 255
    rounded = (np.clip(values, low, high) / step).round() * step
    return np.square(values - rounded).mean()


@pytest.mark.parametrize("seed", range(3))
def test_mse_rounds_long_tails_better_than_their_extremes(seed):
    values = np.random.default_rng(seed).standard_t(4, size=60_000).astype(np.float32)
    histogram = seen([values])
    chosen = rounding_error(values, *choose_range(histogram, "mse"))
    assert chosen < 0.95 * rounding_error(values, *choose_range(histogram, "minmax"))


@pytest.mark.parametrize("reach", [4.0, 2.0, 1.0])
def test_noise_is_that_of_rounding_and_of_what_is_cut_off(reach):
    values = np.random.default_rng(0).normal(size=60_000).astype(np.float32)
    signal = np.square(values).mean()
    found = rounding_noise(seen([values]), -reach, reach)
    expected = 10 * np.log10(signal / rounding_error(values, -reach, reach))
    assert found == pytest.approx(expected, abs=0.5)


def test_zeros_alone_are_rounded_without_noise():
    assert rounding_noise(seen([np.zeros(5, np.float32)]), 0, 0) == 99


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32(3e38)])
def test_values_that_are_no_numbers_are_refused(value):
    with pytest.raises(FloatingPointError):
        Histogram().add(np.array([0, value], np.float32))


def test_histograms_are_read_as_they_were_written(tmp_path):
    before = {"a": seen([np.array([1, 2, -3], np.float32)]), "b": seen([np.zeros(2, np.float32)])}
    save_histograms(before, tmp_path)
    after = load_histograms(tmp_path)
    assert after.keys() == before.keys()
    for name, histogram in before.items():
        assert vars(after[name]).keys() == vars(histogram).keys()
        assert after[name].reach == histogram.reach
        np.testing.assert_array_equal(after[name].counts, histogram.counts)


def model_of(*nodes):
    graph = helper.make_graph(
        [helper.make_node(op, [a], [b], name=f"layer/{op}") for op, a, b in nodes],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def test_activations_are_those_of_the_graph():
    model = model_of(("Neg", "input", "x"), ("Exp", "x", "y"))
    given = [{"input": np.array([[1, 2]], np.float32)}, {"input": np.array([[-3, 0]], np.float32)}]
    found = activations(model, {"input", "x", "y"}, given)
    assert {name: (h.low, h.high) for name, h in found.items()} == {
        "input": (-3, 2),
        "x": (-2, 3),
        "y": (pytest.approx(np.exp(-2)), pytest.approx(np.exp(3))),
    }


def test_a_node_that_overflows_is_named():
    model = model_of(("Neg", "input", "x"), ("Exp", "x", "y"))
    with pytest.raises(CalibrationError, match=r"layer/Exp gives an infinite value on sample 0"):
        activations(model, {"x", "y"}, [{"input": np.array([[-1000, 0]], np.float32)}])
