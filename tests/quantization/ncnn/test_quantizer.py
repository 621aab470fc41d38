"""Tests ncnn models of integers: quantized layers, float layers, scales, equal bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import BundleError, CalibrationError, UsageError
from edgekit.quantization.base import Recipe
from edgekit.quantization.choices import METHODS
from edgekit.quantization.ncnn.placing import placed
from edgekit.quantization.ncnn.quantizer import NcnnQuantizer
from edgekit.quantization.rounding.integer_weights import IntegerWeights, load_weights
from edgekit.targets.base import SessionOptions
from edgekit.targets.ncnn.model import MODEL, WEIGHTS, NcnnModel, read_model
from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.session import NcnnSession
from edgekit.targets.ncnn.structure import check_structure

ONE = SessionOptions(threads=1)


@pytest.fixture(scope="session")
def calibrate(calibrated: Any) -> Callable[[Bundle, Path], Path]:
    return partial(calibrated, NcnnQuantizer())


@pytest.fixture(scope="session")
def make(quantized: Any) -> Callable[..., Bundle]:
    return partial(quantized, NcnnQuantizer())


@pytest.fixture(scope="session")
def statistics(paired: Bundle, calibrate: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calibrate(paired, tmp_path_factory.mktemp("statistics") / "s")


def integers(bundle: Bundle) -> set[str]:
    """Names of the convolutions of integers."""
    return {
        layer.name
        for layer in read_model(bundle).structure.layers
        if "Convolution" in layer.kind and layer.whole(8)
    }


def noise(written: Bundle, bundle: Bundle, given: Any) -> dict[str, float]:
    with NcnnSession(written, ONE) as one, NcnnSession(bundle, ONE) as other:
        expected, found = one.infer(given), other.infer(given)
    return {
        name: float(np.square(found[name] - head).mean() / np.square(head).mean())
        for name, head in expected.items()
    }


def test_layers(paired: Bundle) -> None:
    found = NcnnQuantizer().layers(paired)
    assert {layer.kind for layer in found} == {"Convolution"}
    (head,) = (layer for layer in found if layer.name == "hm.0")
    structure = read_model(paired).structure
    (layer,) = (layer for layer in structure.layers if layer.name == "hm.0")
    shape = structure.blobs[layer.outputs[0]]
    assert head.macs == layer.whole(6) * shape.height * shape.width
    kept = NcnnQuantizer().left_float(paired)
    assert not kept.keys() & {layer.name for layer in found}
    assert any("depthwise" in why for why in kept.values())


def test_what_has_no_form_of_integers(deformable: Path, export: Callable[..., Bundle]) -> None:
    moved = export(deformable, "ncnn", input_size=(64, 64))
    kept = NcnnQuantizer().left_float(moved)
    assert any("DeformableConv2D" in why for why in kept.values())
    layers = {layer.name for layer in NcnnQuantizer().layers(moved)}
    assert any(name.endswith(".conv_offset_mask") for name in layers)


@pytest.mark.parametrize("method", METHODS)
def test_layers_are_of_integers(
    paired: Bundle, statistics: Path, tmp_path: Path, method: str, make: Any, inputs_of: Any
) -> None:
    bundle = make(paired, statistics, tmp_path, Recipe(method=method))
    assert integers(bundle) == {layer.name for layer in NcnnQuantizer().layers(paired)}
    assert bundle.size < 0.6 * paired.size
    for name, share in noise(paired, bundle, inputs_of(paired)[4]).items():
        assert 0 < share < 0.1, name
    with NcnnSession(bundle, ONE) as session:
        assert session.describe()["arithmetic"] == "int8"


def test_layers_that_stay_float(
    paired: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    layers = [layer.name for layer in NcnnQuantizer().layers(paired)]
    kept = frozenset({layers[0], layers[-1]})
    bundle = make(paired, statistics, tmp_path, Recipe(keep_float=kept))
    assert integers(bundle) == set(layers) - kept


def test_all_kept_float_is_the_float_network(
    paired: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    kept = frozenset(layer.name for layer in NcnnQuantizer().layers(paired))
    bundle = make(paired, statistics, tmp_path, Recipe(keep_float=kept))
    for name in (MODEL, WEIGHTS):
        assert (bundle.path / name).read_bytes() == (paired.path / name).read_bytes()


def test_same_statistics_give_same_bytes(
    paired: Bundle, statistics: Path, tmp_path: Path, make: Any, calibrate: Any
) -> None:
    again = calibrate(paired, tmp_path / "again")
    one, other = (
        make(paired, folder, tmp_path / str(place))
        for place, folder in enumerate((statistics, again))
    )
    for name in (MODEL, WEIGHTS):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


def test_readings_are_symmetric(paired: Bundle, statistics: Path) -> None:
    found = NcnnQuantizer().readings(paired, statistics, "minmax")
    assert found.keys() == {layer.name for layer in NcnnQuantizer().layers(paired)}
    for reading in found.values():
        assert reading.high == -reading.low == max(-reading.seen.low, reading.seen.high)


def test_weights_are_compensated(paired: Bundle, statistics: Path) -> None:
    model = read_model(paired)
    for name, made in load_weights(statistics).items():
        plain = np.rint(
            model.arrays[name, "weight"].reshape(len(made.scale), -1) / made.scale[:, None]
        )
        assert np.abs(made.values).max() <= 127
        if made.values[0].size > 8:
            assert (made.values.reshape(plain.shape) != plain).any()


def test_layer_that_is_not_there(
    paired: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    with pytest.raises(UsageError, match="no layers nothing"):
        make(paired, statistics, tmp_path, Recipe(keep_float=frozenset({"nothing"})))


def test_network_that_overflows(paired: Bundle, tmp_path: Path, calibrate: Any) -> None:
    content = bytearray((paired.path / WEIGHTS).read_bytes())
    content[4:8] = np.float32(3e38).tobytes()
    (tmp_path / WEIGHTS).write_bytes(content)
    files = {MODEL: paired.model_path, WEIGHTS: tmp_path / WEIGHTS}
    bundle = save_bundle(tmp_path / "b", paired.manifest, files)
    with pytest.raises(
        CalibrationError, match=r"stem\.0 gives (an infinite value|NaN) on sample 0"
    ):
        calibrate(bundle, tmp_path / "s")


def test_model_that_is_none(paired: Bundle, tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"rubbish")
    files = {MODEL: tmp_path / MODEL, WEIGHTS: paired.path / WEIGHTS}
    bundle = save_bundle(tmp_path / "b", paired.manifest, files)
    with pytest.raises(BundleError, match="not a valid ncnn model"):
        NcnnQuantizer().layers(bundle)


@pytest.mark.shared
def test_shipped_model_keeps_its_detections(kept_by_int8: Callable[[str], Any]) -> None:
    size, agreeing = kept_by_int8("ncnn")
    assert size < 0.4
    assert agreeing > 0.95


def chain(*, branches: bool) -> NcnnModel:
    """Three convolutions, of which the first is read by two others, or by one."""
    values = {0: 4, 1: 1, 5: 1, 6: 16}
    layers = [
        NcnnLayer("Input", "in", (), ("x",), {0: 4, 1: 4, 2: 4}),
        NcnnLayer("ReLU", "relu", ("x",), ("r",), {}),
        NcnnLayer("Convolution", "a", ("r",), ("p",), dict(values)),
    ]
    if branches:
        layers.append(NcnnLayer("Split", "s", ("p",), ("q1", "q2"), {}))
        layers.append(NcnnLayer("Convolution", "b", ("q1",), ("y",), dict(values)))
        layers.append(NcnnLayer("Convolution", "c", ("q2",), ("z",), dict(values)))
    else:
        layers.append(NcnnLayer("Convolution", "b", ("p",), ("y",), dict(values)))
    names = "abc" if branches else "ab"
    arrays = {(name, "weight"): np.eye(4, dtype="<f4").ravel() for name in names}
    arrays |= {(name, "bias"): np.zeros(4, "<f4") for name in names}
    return NcnnModel(check_structure(layers), b"", arrays)


def whole(value: int, size: int = 1) -> IntegerWeights:
    values = np.full((4, 4, size, size), value, np.int8)
    return IntegerWeights(values, np.full(4, 0.5, np.float32), np.full(4, 0.25, np.float32))


REACH = {"r": 2.0, "p": 4.0}


@pytest.mark.parametrize("branches", [False, True])
def test_a_value_that_only_integers_read_is_rounded_where_it_is_made(branches: bool) -> None:
    model = chain(branches=branches)
    names = "abc" if branches else "ab"
    layers, arrays = placed(model, REACH, dict.fromkeys(names, whole(3)))
    check_structure(layers)
    terms = {layer.name: layer.whole(8) for layer in layers if layer.kind == "Convolution"}
    assert terms == {name: 101 if name == "a" else 1 for name in names}
    assert arrays["a", "input_scale"].tolist() == [63.5]
    assert arrays["a", "output_scale"].tolist() == arrays["b", "input_scale"].tolist() == [31.75]
    assert arrays["a", "weight_scale"].tolist() == [2.0] * 4
    assert arrays["a", "bias"].tolist() == [0.25] * 4


def test_a_value_that_also_a_float_layer_reads_stays_float() -> None:
    layers, _ = placed(chain(branches=True), REACH, {"a": whole(3), "b": whole(3)})
    terms = {layer.name: layer.whole(8) for layer in layers if layer.kind == "Convolution"}
    assert terms == {"a": 1, "b": 1, "c": 0}


def test_a_float_value_that_several_integers_read_is_rounded_once() -> None:
    layers, arrays = placed(chain(branches=True), REACH, {"b": whole(3), "c": whole(3)})
    structure = check_structure(layers)
    (made,) = (layer for layer in layers if layer.kind == "Quantize")
    assert made.inputs == ("p",)
    assert structure.blobs[made.outputs[0]].bits == 8
    assert arrays[made.name, "input_scale"].tolist() == [31.75]


@pytest.mark.parametrize(("value", "size", "kept"), [(1, 3, True), (127, 3, False), (127, 1, True)])
def test_winograds_transformation_cannot_overflow(value: int, size: int, kept: bool) -> None:
    values = {0: 64, 1: size, 4: size // 2, 5: 1, 6: 64 * 64 * size**2}
    layers = [
        NcnnLayer("Input", "in", (), ("x",), {0: 8, 1: 8, 2: 64}),
        NcnnLayer("Convolution", "a", ("x",), ("y",), values),
    ]
    arrays = {
        ("a", "weight"): np.zeros(64 * 64 * size**2, "<f4"),
        ("a", "bias"): np.zeros(64, "<f4"),
    }
    model = NcnnModel(check_structure(layers), b"", arrays)
    made = IntegerWeights(
        np.full((64, 64, size, size), value, np.int8),
        np.ones(64, np.float32),
        np.zeros(64, np.float32),
    )
    changed, _ = placed(model, {"x": 1.0}, {"a": made})
    assert (changed[1].whole(31) == 0) == kept
