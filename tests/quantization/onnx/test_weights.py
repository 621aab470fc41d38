"""Tests the integer weights of convolutions."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgekit.quantization.onnx.weights import convolution, put
from edgekit.quantization.rounding import integer_weights
from edgekit.quantization.rounding.integer_weights import IntegerWeights, load_weights, save_weights


def model_of(weights, *, groups=1, bias=True, strides=(1, 1), pads=(1, 0, 2, 1), size=(5, 6)):
    names = ["x", "w", "b"] if bias else ["x", "w"]
    node = helper.make_node(
        "Conv", names, ["y"], name="layer", strides=strides, pads=pads, group=groups
    )
    stored = [numpy_helper.from_array(weights.astype(np.float32), "w")]
    stored += [numpy_helper.from_array(np.zeros(len(weights), np.float32), "b")] if bias else []
    channels = weights.shape[1] * groups
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def looked_at(model, samples=3):
    """The convolution, and the pictures it has looked at: smooth ones, as activations are."""
    weights = numpy_helper.to_array(model.graph.initializer[0])
    found = convolution(model.graph.node[0], weights)
    random = np.random.default_rng(1)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    pictures = [
        (random.normal(size=shape).cumsum(2).cumsum(3) + random.normal(size=(1, shape[1], 1, 1)))
        for _ in range(samples)
    ]
    pictures = [np.maximum(p, 0).astype(np.float32) for p in pictures]
    for number, picture in enumerate(pictures):
        found.look(picture, number)
    return found, pictures


def outputs(model, pictures):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.stack([session.run(None, {"x": picture})[0] for picture in pictures])


kinds = st.sampled_from(
    [  # weights, groups
        ((6, 4, 1, 1), 1),
        ((5, 3, 3, 3), 1),
        ((4, 1, 3, 3), 4),
        ((8, 1, 5, 5), 4),
        ((6, 2, 3, 1), 3),
        ((3, 8, 3, 3), 1),
    ]
)


@settings(deadline=None)
@given(kinds, st.integers(0, 2**32 - 1), st.sampled_from([(1, 1), (2, 1)]))
def test_the_mean_of_what_a_layer_gives_stays_and_no_pair_overflows(kind, seed, strides):
    shape, groups = kind
    weights = np.random.default_rng(seed).normal(size=shape) ** 3
    model = model_of(weights, groups=groups, strides=strides)
    layer, pictures = looked_at(model)
    before = outputs(model, pictures)
    assert before[0, 0, 0].size <= integer_weights._WINDOWS  # so that it has seen all
    made = layer.integers()
    if shape[1] > 1:
        size = np.abs(made.values.astype(int))
        for order in (size, size.transpose(0, 2, 3, 1)):
            flat = order.reshape(len(size), -1)
            assert (flat[:, :-1] + flat[:, 1:]).max() <= 128
    put(model, list(model.graph.node), {"layer": made})
    after = outputs(model, pictures)
    error = (after - before).mean((0, 1, 3, 4))
    assert np.abs(error).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize(("shape", "groups"), [((16, 12, 3, 3), 1), ((12, 1, 3, 3), 12)])
def test_what_a_layer_gives_is_nearer_than_with_plain_rounding(shape, groups):
    weights = np.random.default_rng(2).normal(size=shape)
    model = model_of(weights, groups=groups)
    layer, pictures = looked_at(model)
    before, made = outputs(model, pictures), layer.integers()
    errors = []
    scale = made.scale[:, None, None, None]
    for values in (np.rint(weights / scale).astype(np.int8), made.values):
        shift = made.shift if values is made.values else np.zeros_like(made.shift)
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        integers = IntegerWeights(values, made.scale, shift)
        put(changed, list(changed.graph.node), {"layer": integers})
        errors.append(np.square(outputs(changed, pictures) - before).sum())
    assert errors[1] < 0.5 * errors[0]


def test_a_deep_layer_is_made_good_some_channels_at_a_time(monkeypatch):
    weights = np.random.default_rng(3).normal(size=(4, 6, 3, 3))
    model = model_of(weights)
    whole = looked_at(model)[0].integers()
    monkeypatch.setattr(integer_weights, "_DEEPEST", 18)
    layer, pictures = looked_at(model)
    made = layer.integers()
    assert (made.values != whole.values).any()
    before = outputs(model, pictures)
    put(model, list(model.graph.node), {"layer": made})
    error = (outputs(model, pictures) - before).mean((0, 1, 3, 4))
    assert np.abs(error).max() <= 1e-4 * np.abs(before).max()


def test_a_layer_without_a_bias_gets_none():
    model = model_of(np.random.default_rng(4).normal(size=(4, 3, 1, 1)), bias=False)
    layer, _ = looked_at(model)
    overrides = put(model, list(model.graph.node), {"layer": layer.integers()})
    assert len(overrides["w"]) == 4
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]


@pytest.mark.parametrize("samples", [0, 1])
def test_with_few_samples_or_none_it_is_still_rounded(samples):
    weights = np.random.default_rng(5).normal(size=(4, 3, 3, 3))
    weights[0] = 0
    layer, _ = looked_at(model_of(weights), samples=samples)
    made = layer.integers()
    assert not made.values[0].any()
    near = made.values * made.scale[:, None, None, None]
    assert np.abs(near - weights).max() < 0.2


def test_it_is_read_as_it_was_written(tmp_path):
    layer, _ = looked_at(model_of(np.random.default_rng(6).normal(size=(4, 3, 3, 3))))
    made = layer.integers()
    save_weights({"a/b": made}, tmp_path)
    (name, again), *others = load_weights(tmp_path).items()
    assert (name, others) == ("a/b", [])
    for field in ("values", "scale", "shift"):
        np.testing.assert_array_equal(getattr(again, field), getattr(made, field))
