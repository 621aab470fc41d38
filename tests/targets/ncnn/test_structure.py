"""Tests the check of a network before ncnn loads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from edgekit.targets.ncnn.param import NcnnLayer, Value
from edgekit.targets.ncnn.sizes import Blob, WeightArray
from edgekit.targets.ncnn.structure import check_structure
from edgekit.targets.ncnn.weights import read_weights, write_weights

INPUT = NcnnLayer("Input", "input", (), ("x",), {0: 12, 1: 8, 2: 6})
CONVOLUTION: dict[int, Value] = {0: 4, 1: 3, 3: 2, 4: 1, 5: 1, 6: 4 * 6 * 9}


def after(kind: str, values: dict[int, Value], inputs: Sequence[str] = ("x",)) -> list[NcnnLayer]:
    return [INPUT, NcnnLayer(kind, "layer", tuple(inputs), ("y",), values)]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("Convolution", CONVOLUTION, Blob(4, 4, 6)),
        ("Convolution", CONVOLUTION | {9: 3, 10: (0.0, 6.0)}, Blob(4, 4, 6)),
        ("Convolution", CONVOLUTION | {13: 1, 14: 0}, Blob(4, 6, 6)),
        ("Convolution", CONVOLUTION | {8: 1}, Blob(4, 4, 6)),
        ("Convolution", CONVOLUTION | {8: 101}, Blob(4, 4, 6, 8)),
        ("ConvolutionDepthWise", {0: 6, 1: 3, 6: 54, 7: 6}, Blob(6, 6, 10)),
        ("Deconvolution", {0: 5, 1: 4, 3: 2, 4: 1, 6: 5 * 6 * 16}, Blob(5, 16, 24)),
        ("DeconvolutionDepthWise", {0: 6, 1: 4, 3: 2, 4: 1, 6: 96, 7: 6}, Blob(6, 16, 24)),
        ("Pooling", {0: 0, 1: 3, 2: 2, 3: 1, 5: 1}, Blob(6, 4, 6)),
        ("Interp", {0: 1, 1: 2.0, 2: 3.0}, Blob(6, 16, 36)),
        ("ReLU", {}, Blob(6, 8, 12)),
        ("BinaryOp", {0: 2, 1: 1, 2: 0.5}, Blob(6, 8, 12)),
        ("BatchNorm", {0: 6}, Blob(6, 8, 12)),
        ("Quantize", {0: 1}, Blob(6, 8, 12, 8)),
        ("Slice", {0: (6,)}, Blob(6, 8, 12)),
    ],
)
def test_sizes(kind: str, values: dict[int, Value], expected: Blob) -> None:
    found = check_structure(after(kind, values))
    assert found.blobs["y"] == expected
    assert (found.inputs, found.outputs) == (("x",), ("y",))


def test_weights_of_an_integer_layer() -> None:
    found = check_structure(after("Convolution", CONVOLUTION | {8: 101}))
    assert found.weights == (
        WeightArray("layer", "weight", 216, marked=True, integer=True),
        WeightArray("layer", "bias", 4),
        WeightArray("layer", "weight_scale", 4),
        WeightArray("layer", "input_scale", 1),
        WeightArray("layer", "output_scale", 1),
    )


def test_layers_that_join_and_part() -> None:
    layers = [
        INPUT,
        NcnnLayer("Split", "split", ("x",), ("a", "b", "c"), {}),
        NcnnLayer("Concat", "concat", ("a", "b"), ("d",), {}),
        NcnnLayer("Slice", "slice", ("d",), ("e", "f"), {0: (6, 6)}),
        NcnnLayer("BinaryOp", "add", ("e", "f"), ("g",), {0: 0}),
    ]
    found = check_structure(layers)
    assert found.blobs["d"] == Blob(12, 8, 12)
    assert found.outputs == ("c", "g")


def test_deformable_convolution() -> None:
    layers = [
        INPUT,
        NcnnLayer("Split", "split", ("x",), ("a", "b", "c"), {}),
        NcnnLayer("Convolution", "offset", ("b",), ("o",), {0: 18, 1: 1, 6: 108}),
        NcnnLayer("Convolution", "mask", ("c",), ("m",), {0: 9, 1: 1, 6: 54}),
        NcnnLayer("DeformableConv2D", "moved", ("a", "o", "m"), ("y",), {0: 5, 1: 3, 4: 1, 6: 270}),
    ]
    assert check_structure(layers).blobs["y"] == Blob(5, 8, 12)
    for place, values in ((2, {0: 17, 1: 1, 6: 102}), (3, {0: 9, 1: 1, 3: 2, 6: 54})):
        wrong = [*layers]
        wrong[place] = replace(layers[place], values=values)
        with pytest.raises(ValueError, match=r"moved .*offsets or the mask"):
            check_structure(wrong)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("Magic", {}, "does not know this type"),
        ("Convolution", CONVOLUTION | {19: 1}, "parameter 19 is unknown"),
        ("Convolution", CONVOLUTION | {31: 1}, "parameter 31 to be 0 or 64"),
        ("Convolution", CONVOLUTION | {6: 215}, "expected 216 weights; found 215"),
        ("Convolution", CONVOLUTION | {6: -1}, "expected 216 weights; found -1"),
        ("Convolution", CONVOLUTION | {0: 0}, "parameter 0 to be from 1"),
        ("Convolution", CONVOLUTION | {0: 4.0}, "parameter 0 to be an integer"),
        ("Convolution", CONVOLUTION | {1: 65}, "parameter 1 to be from 1 to 64"),
        ("Convolution", CONVOLUTION | {1: 20, 6: 4 * 6 * 400}, "an output would be"),
        ("Convolution", CONVOLUTION | {4: -233}, "parameter 4 to be from 0"),
        ("Convolution", CONVOLUTION | {5: 2}, "parameter 5 to be from 0 to 1"),
        ("Convolution", CONVOLUTION | {8: 2}, "parameter 8 to be 0, 1 or 101"),
        ("Convolution", CONVOLUTION | {9: 7}, "7 is not an activation"),
        ("Convolution", CONVOLUTION | {9: 3}, "expected 2 parameters of the activation"),
        ("Convolution", CONVOLUTION | {9: 3, 10: (0, 6)}, "all floats"),
        ("ConvolutionDepthWise", {0: 6, 1: 3, 6: 54, 7: 4}, "do not form 4 groups"),
        ("ConvolutionDepthWise", {0: 7, 1: 3, 6: 54, 7: 6}, "do not form 6 groups"),
        ("Deconvolution", {0: 5, 1: 4, 3: 2, 6: 480, 18: 1}, "parameter 18 to be 0"),
        ("Pooling", {0: 0, 1: 3, 3: 3, 5: 1}, "parameter 3 to be from 0 to 2"),
        ("Pooling", {0: 0, 1: 3, 5: 2}, "parameter 5 to be 1"),
        ("Pooling", {0: 0, 1: 3, 4: 1, 5: 1}, "parameter 4 to be 0"),
        ("Interp", {0: 1, 1: 2.5, 2: 2.0}, "whole numbers"),
        ("Interp", {0: 1, 1: 2.0, 2: 1e9}, "whole numbers"),
        ("Interp", {0: 1, 1: 2.0, 2: 2.0, 4: 9}, "parameter 4 to be 0"),
        ("BatchNorm", {0: 7}, "expected 6 channels; found 7"),
        ("Slice", {0: (7,)}, "slices of 6 channels"),
        ("Slice", {0: (-233, 239)}, "positive numbers"),
        ("Slice", {}, "slices of 6 channels"),
        ("Quantize", {0: 6}, "expected one scale"),
        ("BinaryOp", {0: 0}, "expected 2 inputs; found 1"),
        ("Input", {0: 1, 1: 1, 2: 1}, "expected 0 inputs; found 1"),
    ],
)
def test_layers_that_contradict_themselves(kind: str, values: dict[int, Value], said: str) -> None:
    with pytest.raises(ValueError, match=rf"layer layer \({kind}\): .*{said}"):
        check_structure(after(kind, values))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (after("ReLU", {}, ["z"]), "not the unused output"),
        ([*after("ReLU", {}), NcnnLayer("ReLU", "b", ("x",), ("z",), {})], "not the unused output"),
        ([*after("ReLU", {}), NcnnLayer("ReLU", "b", ("y",), ("x",), {})], "name of another blob"),
        ([*after("ReLU", {}), NcnnLayer("ReLU", "layer", ("y",), ("z",), {})], "same name"),
        (
            [*after("Split", {}), NcnnLayer("BinaryOp", "b", ("y", "y"), ("z",), {})],
            "unused output",
        ),
        ([replace(INPUT, values={0: 1 << 16, 1: 1 << 16, 2: 1})], "an output would be"),
        ([replace(INPUT, values={})], "an output would be 0x0x0"),
        ([INPUT, NcnnLayer("Split", "s", ("x",), ("a", "a"), {})], "name of another blob"),
        ([*after("Quantize", {0: 1}), NcnnLayer("ReLU", "b", ("y",), ("z",), {})], "integers"),
        (
            [
                *after("Quantize", {0: 1}),
                NcnnLayer("Convolution", "b", ("y",), ("z",), {0: 1, 1: 1, 6: 6}),
            ],
            "integers",
        ),
    ],
)
def test_blobs_that_contradict_each_other(layers: list[NcnnLayer], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_structure(layers)


def test_weights_are_read_as_they_are_written() -> None:
    parts = [
        WeightArray("a", "weight", 5, marked=True),
        WeightArray("a", "bias", 2),
        WeightArray("b", "weight", 3, marked=True, integer=True),
        WeightArray("c", "weight", 3, marked=True),
    ]
    random = np.random.default_rng(0)
    arrays = {
        ("a", "weight"): random.normal(size=5).astype("<f4"),
        ("a", "bias"): random.normal(size=2).astype("<f4"),
        ("b", "weight"): random.integers(-127, 127, 3).astype("i1"),
        ("c", "weight"): random.normal(size=3).astype("<f2"),
    }
    content = write_weights(parts, arrays)
    assert len(content) == 4 + 20 + 8 + 4 + 4 + 4 + 8
    found = read_weights(parts, content)
    for key, expected in arrays.items():
        np.testing.assert_array_equal(found[key], expected)
        assert found[key].dtype == expected.dtype
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"bytes|no weights"):
            read_weights(parts, content[:length])
    with pytest.raises(ValueError, match="expected 52 bytes; found 56"):
        read_weights(parts, content + bytes(4))


def test_weights_of_another_type() -> None:
    part, integer = (
        WeightArray("a", "weight", 4, marked=True),
        WeightArray("a", "weight", 4, True, True),
    )
    floats = write_weights([part], {("a", "weight"): np.ones(4, "<f4")})
    whole = write_weights([part], {("a", "weight"): np.ones(4, "i1")})
    for parts, content in (([part], whole), ([integer], floats)):
        with pytest.raises(ValueError, match="the weights of a have the type"):
            read_weights(parts, content)
    with pytest.raises(ValueError, match="no weights of a at 0"):
        read_weights([part], b"\1\2\3\4" + bytes(16))
