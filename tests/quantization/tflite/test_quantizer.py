"""Tests TFLite models: quantized parts, float parts, equal bytes."""

from __future__ import annotations

import os
import shutil
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
from edgekit.quantization.base import LAST, Recipe
from edgekit.quantization.choices import DYNAMIC, METHODS
from edgekit.quantization.rounding.integer_weights import load_weights
from edgekit.quantization.tflite.quantizer import TfliteQuantizer
from edgekit.system.installation import install_line
from edgekit.targets.tflite.session import TfliteSession

pytestmark = pytest.mark.long


@pytest.fixture(scope="session")
def written(lite: Bundle) -> Bundle:
    return lite


@pytest.fixture(scope="session")
def calibrate(calibrated: Any) -> Callable[[Bundle, Path], Path]:
    return partial(calibrated, TfliteQuantizer())


@pytest.fixture(scope="session")
def make(quantized: Any) -> Callable[..., Bundle]:
    return partial(quantized, TfliteQuantizer())


@pytest.fixture(scope="session")
def statistics(written: Bundle, calibrate: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calibrate(written, tmp_path_factory.mktemp("statistics") / "s")


def operators_of(bundle: Bundle) -> list[tuple[str, str, list[str]]]:
    """Of each operator its kind, the name of what it gives, and the types of what it is given."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bundle.model_path.read_bytes(), 0)
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    types = {code: name for name, code in vars(schema.TensorType).items()}
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        found.append(
            (
                kinds[max(code.builtinCode, code.deprecatedBuiltinCode)],
                graph.tensors[operator.outputs[0]].name.decode(),
                [types[graph.tensors[place].type] for place in operator.inputs if place >= 0],
            )
        )
    return found


def integers(bundle: Bundle) -> set[str]:
    """Names of what operators on integers give."""
    return {name for _, name, given in operators_of(bundle) if "INT8" in given}


def test_layers(written: Bundle) -> None:
    found = TfliteQuantizer().layers(written)
    assert len(found) == 22
    assert (found[0].kind, found[0].macs) == ("CONV_2D", 32 * 48 * 32 * 6 * 9)
    depthwise = [layer for layer in found if layer.kind == "DEPTHWISE_CONV_2D"]
    assert len(depthwise) == 5
    assert depthwise[0].macs == 32 * 48 * 32 * 9
    assert not any("Conv2d_2;" in layer.name for layer in found)  # the last of the heads


@pytest.mark.parametrize("method", METHODS)
def test_all_but_the_last_layers_are_of_integers(
    written: Bundle, statistics: Path, tmp_path: Path, method: str, make: Any, inputs_of: Any
) -> None:
    bundle = make(written, statistics, tmp_path, Recipe(method=method))
    floats = [(kind, name) for kind, name, given in operators_of(bundle) if given[0] != "INT8"]
    assert sorted(kind for kind, _ in floats) == [*["CONV_2D"] * 3, "QUANTIZE", *["TRANSPOSE"] * 3]
    assert all("serving" in name or "Conv2d_2;" in name for _, name in floats)
    assert "RESIZE_NEAREST_NEIGHBOR" not in {kind for kind, _, _ in operators_of(bundle)}
    layers = {layer.name for layer in TfliteQuantizer().layers(written)}
    assert layers <= integers(bundle)
    assert {layer.name for layer in TfliteQuantizer().layers(bundle)} == layers
    assert bundle.size < 0.4 * written.size  # of a model so small much is names
    given = inputs_of(written)[4]
    with TfliteSession(written) as one, TfliteSession(bundle) as other:
        expected, found = one.infer(given), other.infer(given)
    for name, head in expected.items():
        noise = np.square(found[name] - head).mean() / np.square(head).mean()
        assert 0 < noise < 0.1, name


def test_layers_that_stay_float(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    layers = TfliteQuantizer().layers(written)
    kept = frozenset({layers[0].name, layers[9].name, layers[20].name})
    recipe = Recipe(method="minmax", keep_float=kept)
    bundle = make(written, statistics, tmp_path, recipe)
    found = integers(bundle)
    assert {layer.name for layer in layers} - found == kept


def test_all_kept_float_is_the_float_network(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any, inputs_of: Any
) -> None:
    kept = frozenset(layer.name for layer in TfliteQuantizer().layers(written))
    bundle = make(written, statistics, tmp_path, Recipe(keep_float=kept))
    assert not integers(bundle)
    given = inputs_of(written)[4]
    with TfliteSession(written) as one, TfliteSession(bundle) as other:
        expected, found = one.infer(given), other.infer(given)
    for name, head in expected.items():
        np.testing.assert_allclose(found[name], head, atol=1e-5 * np.abs(head).max())


def noise_of(written: Bundle, bundle: Bundle, given: Any) -> dict[str, float]:
    with TfliteSession(written) as one, TfliteSession(bundle) as other:
        expected, found = one.infer(given), other.infer(given)
        assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(
            expected, np.float32
        )
    return {
        name: float(np.square(found[name] - head).mean() / np.square(head).mean())
        for name, head in expected.items()
    }


def test_ranges_of_each_frame_take_no_calibration(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any, inputs_of: Any
) -> None:
    tool = TfliteQuantizer()
    kept = frozenset({tool.layers(written)[9].name})
    bundle = make(written, statistics, tmp_path, Recipe(method=DYNAMIC, keep_float=kept))
    operators = operators_of(bundle)
    assert not any(given[0] == "INT8" for _, _, given in operators)
    weighted = {name for _, name, given in operators if given[1:2] == ["INT8"]}
    assert weighted == {layer.name for layer in tool.layers(written)} - kept
    assert tool.readings(written, statistics, DYNAMIC) == {}
    assert all(0 < n < 0.05 for n in noise_of(written, bundle, inputs_of(written)[4]).values())


def test_integers_in_and_out(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any, inputs_of: Any
) -> None:
    tool = TfliteQuantizer()
    bundle = make(written, statistics, tmp_path, Recipe(method="mse", io="int8"))
    operators = operators_of(bundle)
    assert all(given[0] == "INT8" for _, _, given in operators)
    assert not {"QUANTIZE", "DEQUANTIZE"} & {kind for kind, _, _ in operators}
    assert LAST not in tool.left_float(written, "int8").values()
    given = inputs_of(written)[4]
    assert all(0 < n < 0.1 for n in noise_of(written, bundle, given).values())
    with TfliteSession(bundle) as session:
        assert session.describe()["arithmetic"] == "int8, in and out too"
        # What is beyond the range of integers is taken for its end.
        session.infer({"input": np.full_like(given["input"], 1e6)})
    recipe = Recipe(method=DYNAMIC, io="int8")
    with pytest.raises(UsageError, match="keeps activations in float"):
        make(written, statistics, tmp_path / "dynamic", recipe)


def test_integers_in_and_out_of_a_network_alone(
    lite_inside: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    with pytest.raises(UsageError, match="can contain the network only") as caught:
        make(lite_inside, statistics, tmp_path, Recipe(io="int8"))
    assert "--decode-in host" in caught.value.hint


def test_layer_that_is_not_there(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    with pytest.raises(UsageError, match="no layers stem to keep in float"):
        make(written, statistics, tmp_path, Recipe(keep_float=frozenset({"stem"})))


def test_same_bytes_again_and_not_a_word(
    written: Bundle, statistics: Path, tmp_path: Path, capsys: Any, make: Any, calibrate: Any
) -> None:
    again = calibrate(written, tmp_path / "again")
    for file in statistics.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name
    one = make(written, statistics, tmp_path / "one")
    other = make(written, again, tmp_path / "other")
    assert one.manifest.files == other.manifest.files
    assert capsys.readouterr() == ("", "")


def test_what_is_beside_the_network_stays_float(
    lite_inside: Bundle, tmp_path: Path, make: Any, calibrate: Any, inputs_of: Any
) -> None:
    layers = TfliteQuantizer().layers(lite_inside)
    assert {layer.kind for layer in layers} == {"CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
    bundle = make(lite_inside, calibrate(lite_inside, tmp_path / "s"), tmp_path / "q")
    found = integers(bundle)
    assert {layer.name for layer in layers} <= found
    assert not any("CascadeGraph" in name or "DecodeGraph" in name for name in found)
    deformed = {name for name in found if "DeformConv2d" in name.rpartition(";;")[2]}
    assert deformed & {layer.name for layer in layers}
    given = inputs_of(lite_inside)[4]
    with TfliteSession(lite_inside) as one, TfliteSession(bundle) as other:
        expected, boxes = (session.infer(given)["detections"] for session in (one, other))
    assert boxes.shape == expected.shape
    assert np.abs(boxes[:, 4].max() - expected[:, 4].max()) < 0.1


def test_parts_that_cannot_be_distinguished(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    spec = msgspec.structs.replace(written.manifest.decode, place="graph")
    manifest = msgspec.structs.replace(written.manifest, decode=spec)
    other = Bundle(written.path, manifest, written.sha256)
    with pytest.raises(UsageError, match="cannot tell the network in") as caught:
        make(other, statistics, tmp_path)
    assert "--decode-in host" in caught.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activation_that_is_no_number(
    written: Bundle, tmp_path: Path, value: float, calibrate: Any, inputs_of: Any
) -> None:
    given = inputs_of(written)[:2]
    given[1] = {"input": np.full_like(given[0]["input"], value)}
    with pytest.raises(CalibrationError, match=r"is (NaN|an infinite value) on sample 1"):
        TfliteQuantizer().calibrate(written, given, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no model", b"", None])
def test_model_that_is_none(written: Bundle, tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        content = written.model_path.read_bytes()[:5000]
    (tmp_path / "model.tflite").write_bytes(content)
    manifest = msgspec.structs.replace(written.manifest, files=())
    files = {"model.tflite": tmp_path / "model.tflite"}
    with pytest.raises(BundleError, match="is not a TFLite file"):
        TfliteQuantizer().layers(save_bundle(tmp_path / "b", manifest, files))


def test_full_disk(written: Bundle, statistics: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(240 << 10))
    with pytest.raises(OutputError, match="Cannot write"):
        TfliteQuantizer().quantize(written, statistics, Recipe(), small_disk)


@pytest.mark.parametrize("module", ["ai_edge_quantizer", "ai_edge_litert.schema_py_generated"])
def test_missing_package(
    written: Bundle,
    statistics: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    make: Any,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=module.partition(".")[0]) as caught:
        make(written, statistics, tmp_path)
    assert caught.value.hint == f"Run: {install_line('tflite-host')}"


def test_quantizer_that_fails(
    written: Bundle, statistics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    from ai_edge_quantizer import quantizer

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such\nthing")

    monkeypatch.setattr(quantizer.Quantizer, "quantize", fails)
    with pytest.raises(
        ConversionError, match=r"quantizer \S+ could not quantize .*: no such thing"
    ):
        make(written, statistics, tmp_path)


def test_quantizer_that_does_something_else(
    written: Bundle, statistics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    from ai_edge_quantizer import quantizer

    def ignores(*_: Any, **__: Any) -> None:
        pass

    monkeypatch.setattr(quantizer.Quantizer, "update_quantization_recipe", ignores)
    kept = frozenset({TfliteQuantizer().layers(written)[3].name})
    with pytest.raises(ConversionError, match=r"did not quantize .* as requested"):
        make(written, statistics, tmp_path, Recipe(keep_float=kept))


def test_no_torch(written: Bundle, statistics: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from edgekit.bundle import load_bundle\n"
        "from edgekit.quantization.base import Recipe\n"
        "from edgekit.quantization.tflite.quantizer import TfliteQuantizer\n"
        "bundle, statistics, out = map(Path, sys.argv[1:])\n"
        "TfliteQuantizer().quantize(load_bundle(bundle), statistics, Recipe(), out)\n"
        "assert not {'torch', 'jax', 'onnx', 'litert_torch', 'tensorflow'} & set(sys.modules)\n"
    )
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    out.mkdir()
    command = [sys.executable, "-c", script, str(written.path), str(statistics), str(out)]
    home_alone = dict.fromkeys(("XDG_CACHE_HOME", "XDG_STATE_HOME"), "")
    environment = {**os.environ, **home_alone, "HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(home.iterdir()) == []
    shutil.rmtree(out)


@pytest.mark.shared
def test_shipped_model_keeps_its_detections(kept_by_int8: Callable[[str], Any]) -> None:
    size, agreeing = kept_by_int8("tflite")
    assert size <= 0.3
    assert agreeing >= 0.95


def test_the_weights_are_those_that_calibration_chose(
    written: Bundle, statistics: Path, tmp_path: Path, make: Any
) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    bundle = make(written, statistics, tmp_path)
    chosen = load_weights(statistics)
    assert chosen.keys() == {layer.name for layer in TfliteQuantizer().layers(written)}
    graph = schema.ModelT.InitFromPackedBuf(bundle.model_path.read_bytes(), 0).subgraphs[0]
    interpreter = Interpreter(model_path=str(bundle.model_path))
    interpreter.allocate_tensors()
    compared = 0
    for operator in graph.operators:
        made = chosen.get(graph.tensors[operator.outputs[0]].name.decode())
        if made is not None:
            stored = interpreter.get_tensor(operator.inputs[1])
            order = (3, 0, 1, 2) if len(stored) == 1 else (0, 3, 1, 2)
            np.testing.assert_array_equal(stored.transpose(order), made.values)
            compared += 1
    assert compared == len(chosen)
