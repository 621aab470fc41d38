"""Tests OpenVINO models: quantized parts, float parts, equal bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import (
    BundleError,
    CalibrationError,
    ConversionError,
    MissingDependencyError,
    OutputError,
    UsageError,
)
from edgekit.quantization.base import Recipe
from edgekit.quantization.openvino.quantizer import OpenVinoQuantizer
from edgekit.quantization.rounding.integer_weights import load_weights
from edgekit.system.installation import install_line
from edgekit.targets.openvino.importing import import_openvino
from edgekit.targets.openvino.session import OpenVinoSession

import_openvino("Testing")  # before a test's own import of it can report itself


@pytest.fixture(scope="session")
def written(ir: Bundle) -> Bundle:
    return ir


@pytest.fixture(scope="session")
def calibrate(calibrated: Any) -> Callable[[Bundle, Path], Path]:
    return partial(calibrated, OpenVinoQuantizer())


@pytest.fixture(scope="session")
def make(quantized: Any) -> Callable[..., Bundle]:
    return partial(quantized, OpenVinoQuantizer())


@pytest.fixture(scope="session")
def statistics(written: Bundle, calibrate: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calibrate(written, tmp_path_factory.mktemp("statistics") / "s")


def read(bundle: Bundle) -> dict[str, Any]:
    import openvino

    model = openvino.Core().read_model(bundle.model_path)
    return {operator.get_friendly_name(): operator for operator in model.get_ordered_ops()}


def is_integer(layer: Any) -> bool:
    """Whether a layer's weights are of 8 bits and its input is rounded."""
    given, weight = (layer.input_value(index).get_node() for index in (0, 1))
    while weight.get_type_name() != "Constant":
        weight = weight.input_value(0).get_node()
    while given.get_type_name() == "MaxPool":
        given = given.input_value(0).get_node()
    rounded = given.get_type_name() == "FakeQuantize"
    stored = weight.get_element_type().get_type_name() == "i8"
    assert rounded == stored
    return rounded


def test_layers(written: Bundle) -> None:
    found = OpenVinoQuantizer().layers(written)
    assert len(found) == 25
    first, last = found[0], {layer.name: layer for layer in found}["wh.2/Conv/WithoutBiases"]
    assert (first.name, first.kind) == ("stem.0/Conv/WithoutBiases", "Convolution")
    assert first.macs == 32 * 48 * 32 * 6 * 9
    assert last.macs == 16 * 24 * 2 * 8
    depthwise = [layer for layer in found if layer.kind == "GroupConvolution"]
    assert len(depthwise) == 5
    assert depthwise[0].macs == 32 * 48 * 32 * 9


@pytest.mark.parametrize("method", OpenVinoQuantizer.methods)
def test_every_layer_is_of_integers(
    written: Bundle, statistics: Path, tmp_path: Path, method: str, make: Any, inputs_of: Any
) -> None:
    bundle = make(written, statistics, tmp_path, Recipe(method=method))
    operators = read(bundle)
    assert all(is_integer(operators[layer.name]) for layer in OpenVinoQuantizer().layers(written))
    sizes = [(made.path / "model.bin").stat().st_size for made in (bundle, written)]
    assert sizes[0] < 0.3 * sizes[1]
    given = inputs_of(written)[4]
    with OpenVinoSession(written) as one, OpenVinoSession(bundle) as other:
        expected, found = one.infer(given), other.infer(given)
    for name, head in expected.items():
        noise = np.square(found[name] - head).mean() / np.square(head - head.mean()).mean()
        assert noise < 0.3, name
        assert noise > 0, name


def test_weights_leave_room_for_sums_of_two_products(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    operators = read(make(written, statistics, tmp_path))
    for layer in OpenVinoQuantizer().layers(written):
        if layer.kind == "GroupConvolution":  # for which the products are widened first
            continue
        weight = operators[layer.name].input_value(1).get_node()
        while weight.get_type_name() != "Constant":
            weight = weight.input_value(0).get_node()
        size = np.abs(weight.data.astype(int))
        for order in (size, size.transpose(0, 2, 3, 1)):
            flat = order.reshape(len(size), -1)
            assert (flat[:, :-1] + flat[:, 1:]).max() * 255 <= 2**15 - 1


def test_layers_that_stay_float(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    kept = frozenset({"stem.0/Conv/WithoutBiases", "wh.2/Conv/WithoutBiases"})
    kept |= {"blocks.3.depthwise.0/Conv/WithoutBiases"}
    bundle = make(written, statistics, tmp_path, Recipe(method="minmax", keep_float=kept))
    operators = read(bundle)
    layers = [layer.name for layer in OpenVinoQuantizer().layers(written)]
    assert {name for name in layers if not is_integer(operators[name])} == kept
    before = read(written)
    for name in kept:
        weights = [ops[name].input_value(1).get_node().data for ops in (before, operators)]
        np.testing.assert_array_equal(*weights)


def test_all_kept_float_is_the_float_network(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any, inputs_of: Any
) -> None:
    kept = frozenset(layer.name for layer in OpenVinoQuantizer().layers(written))
    bundle = make(written, statistics, tmp_path, Recipe(keep_float=kept))
    assert "FakeQuantize" not in {o.get_type_name() for o in read(bundle).values()}
    given = inputs_of(written)[4]
    with OpenVinoSession(written) as one, OpenVinoSession(bundle) as other:
        expected, found = one.infer(given), other.infer(given)
    for name, head in expected.items():
        np.testing.assert_allclose(found[name], head, atol=1e-5 * np.abs(head).max())


def test_sum_of_float_layers_is_float(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    kept = frozenset(f"{name}.0/Conv/WithoutBiases" for name in ("laterals.2", "laterals.1"))
    operators = read(make(written, statistics, tmp_path, Recipe(keep_float=kept)))
    kinds = [value.get_node().get_type_name() for value in operators["Add"].input_values()]
    assert "FakeQuantize" not in kinds
    # And what goes from there into a layer of integers is rounded.
    kinds = [value.get_node().get_type_name() for value in operators["Add_2"].input_values()]
    assert "FakeQuantize" in kinds
    assert is_integer(operators["smooth.0/Conv/WithoutBiases"])


def test_layer_that_is_not_there(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    with pytest.raises(UsageError, match="no layers stem to keep in float"):
        make(written, statistics, tmp_path, Recipe(keep_float=frozenset({"stem"})))


def test_zero_is_a_step_of_every_range(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    operators = read(make(written, statistics, tmp_path))
    roundings = [o for o in operators.values() if o.get_type_name() == "FakeQuantize"]
    assert len(roundings) > 20
    for rounding in roundings:
        low, high = (rounding.input_value(place).get_node().data for place in (1, 2))
        assert (low <= 0).all()
        assert (high >= 0).all()
        steps = -low / (high - low) * 255
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)


def test_same_bytes_again_and_not_a_word(
    written: Bundle, statistics: Path, tmp_path: Path, capfd: Any, make: Any, calibrate: Any
) -> None:
    again = calibrate(written, tmp_path / "again")
    for file in statistics.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name
    one = make(written, statistics, tmp_path / "one")
    other = make(written, again, tmp_path / "other")
    assert capfd.readouterr() == ("", "")
    assert one.manifest.files == other.manifest.files
    text = one.model_path.read_text()
    for trace in ("nncf", "/tmp", ".py", str(Path.home())):
        assert trace not in text


def test_everything_in_the_graph_stays_float(
    checkpoint: Path, export: Any, tmp_path: Path, make: Any, calibrate: Any, inputs_of: Any
) -> None:
    inside = export(checkpoint, "openvino", cascade_in="graph", decode_in="graph")
    assert len(OpenVinoQuantizer().layers(inside)) == 25
    statistics = calibrate(inside, tmp_path / "s")
    bundle = make(inside, statistics, tmp_path / "q")
    operators = read(bundle)
    assert all(is_integer(operators[layer.name]) for layer in OpenVinoQuantizer().layers(inside))
    outside = [name for name in operators if name.startswith(("cascade/", "decode/"))]
    assert len(outside) > 100
    rounded = {
        o.get_friendly_name() for o in operators.values() if o.get_type_name() == "FakeQuantize"
    }
    # The last of the cascade is the network's input.
    assert {name for name in rounded if name.startswith(("cascade/", "decode/"))} == {
        "cascade/Concat_2/fq_output_0"
    }
    given = inputs_of(inside)[4]
    with OpenVinoSession(inside) as one, OpenVinoSession(bundle) as other:
        expected, found = (session.infer(given)["detections"] for session in (one, other))
    assert found.shape == expected.shape
    assert np.isfinite(found).all()


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("lowering", ["deform_conv", "gather"])
def test_places_in_the_picture_stay_float(
    deformable: Path,
    export: Any,
    tmp_path: Path,
    lowering: str,
    make: Any,
    calibrate: Any,
    inputs_of: Any,
) -> None:
    float_one = export(deformable, "openvino", input_size=(64, 64), dcn=lowering)
    statistics = calibrate(float_one, tmp_path / "s")
    bundle = make(float_one, statistics, tmp_path / "q")
    operators = read(bundle)
    layers = OpenVinoQuantizer().layers(float_one)
    assert all(is_integer(operators[layer.name]) for layer in layers)
    assert sum("conv_offset_mask" in layer.name for layer in layers) == 1
    rounded = {
        operator.get_friendly_name(): operator.input_value(0).get_node().get_type_name()
        for operator in operators.values()
        if operator.get_type_name() == "FakeQuantize"
    }
    assert not {"Sigmoid", "Split", "VariadicSplit", "Floor"} & set(rounded.values())
    given = inputs_of(float_one)[4]
    with OpenVinoSession(float_one) as one, OpenVinoSession(bundle) as other:
        expected, found = one.infer(given), other.infer(given)
    for name, head in expected.items():
        noise = np.square(found[name] - head).mean() / np.square(head - head.mean()).mean()
        assert noise < 0.1, name


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_activation_that_is_no_number(
    tiny: Path, export: Any, tmp_path: Path, value: float, inputs_of: Any
) -> None:
    bundle = export(tiny, "openvino")
    given = inputs_of(bundle)[:2]
    given[1] = {"input": np.full_like(given[0]["input"], value)}
    with pytest.raises(CalibrationError, match=r"tiny/Conv.* gives NaN or an inf.* sample 1"):
        OpenVinoQuantizer().calibrate(bundle, given, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_model_that_is_none(written: Bundle, tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("no XML")
    manifest = msgspec.structs.replace(written.manifest, files=())
    bundle = save_bundle(tmp_path / "b", manifest, {"model.xml": tmp_path / "model.xml"})
    with pytest.raises(BundleError, match="not a model in OpenVINO's IR"):
        OpenVinoQuantizer().layers(bundle)


def test_full_disk(written: Bundle, statistics: Path, small_disk: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write"):
        OpenVinoQuantizer().quantize(written, statistics, Recipe(), small_disk)


def test_missing_package(
    written: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibrate: Any, inputs_of: Any
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingDependencyError, match="'nncf'") as caught:
        OpenVinoQuantizer().calibrate(written, inputs_of(written)[:1], tmp_path)
    assert caught.value.hint == f"Run: {install_line('openvino-host')}"


def test_quantizer_that_fails(
    written: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibrate: Any, inputs_of: Any
) -> None:
    import nncf

    def fails(*_: Any, **__: Any) -> None:
        raise nncf.UnsupportedModelError("Check 'x' failed at a.cpp:1: no such thing")

    monkeypatch.setattr(nncf, "quantize", fails)
    with pytest.raises(ConversionError, match=r"NNCF \S+ could not quantize .*: no such thing"):
        OpenVinoQuantizer().calibrate(written, inputs_of(written)[:1], tmp_path)


def test_nothing_is_reported_to_anybody(written: Bundle, tmp_path: Path, calibrate: Any) -> None:
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from edgekit.system.own_process import claim_process\n"
        "claim_process()\n"  # as the command line does
        "from edgekit.bundle import load_bundle\n"
        "from edgekit.quantization.openvino.quantizer import OpenVinoQuantizer\n"
        "given = [{'input': np.ones((1, 6, 64, 96), np.float32)}]\n"
        "OpenVinoQuantizer().calibrate(load_bundle(Path(sys.argv[1])), given, Path(sys.argv[2]))\n"
        "import logging, nncf.telemetry.wrapper as told\n"
        "assert logging.getLoggerClass() is logging.Logger\n"
        "assert 'MagicMock' in str(told.telemetry), told.telemetry\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    home, statistics = tmp_path / "home", tmp_path / "statistics"
    home.mkdir()
    statistics.mkdir()
    command = [sys.executable, "-c", script, str(written.path), str(statistics)]
    home_alone = dict.fromkeys(("XDG_CACHE_HOME", "XDG_STATE_HOME"), "")
    environment = {**os.environ, **home_alone, "HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == []


@pytest.mark.shared
def test_shipped_model_keeps_its_detections(kept_by_int8: Callable[[str], Any]) -> None:
    size, agreeing = kept_by_int8("openvino")
    assert size <= 0.3
    assert agreeing >= 0.95


def test_the_weights_are_those_that_calibration_chose(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    chosen = load_weights(statistics)
    assert chosen.keys() == {layer.name for layer in OpenVinoQuantizer().layers(written)}
    found = read(make(written, statistics, tmp_path))
    for name, made in chosen.items():
        weight = found[name].input_value(1).get_node()
        while weight.get_type_name() != "Constant":
            weight = weight.input_value(0).get_node()
        np.testing.assert_array_equal(weight.get_data().reshape(made.values.shape), made.values)
