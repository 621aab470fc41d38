"""Tests each rule of the checker, on minimal models that break and that keep it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.errors import BundleError, MissingDependencyError
from edgekit.targets.jetson.checker import _main, check
from edgekit.targets.jetson.graph import FlatGraph
from edgekit.targets.jetson.operators import OPERATORS, OPSETS

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
UINT8, INT8 = TensorProto.UINT8, TensorProto.INT8


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """Writes nodes as a model: ``x`` goes in, ``y`` comes out, constants by name."""

    def write(
        *nodes: Any,
        x: tuple[int, list[Any]] = (FLOAT, [1, 4, 8, 8]),
        y: int = FLOAT,
        opset: int = 19,
        domain: str = "",
        **constants: Any,
    ) -> Path:
        graph = helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info("x", *x)],
            [helper.make_tensor_value_info("y", y, None)],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
        )
        imports = [helper.make_opsetid("", opset)]
        imports += [helper.make_opsetid(domain, 1)] if domain else []
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), path)
        return path

    return write


def node(operator: str, *inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(operator, list(inputs), [output], name=f"the/{operator}", **attributes)


def reasons(path: Path) -> list[str]:
    return [str(finding) for finding in check(path)]


def test_accepted(model: Any) -> None:
    assert check(model(node("Relu", "x"))) == []


def test_operator_that_there_is_none_of(model: Any) -> None:
    (found,) = check(model(node("Unique", "x")))
    assert found == ("the/Unique", "Unique", "TensorRT has no such operator")
    assert str(found) == "the/Unique (Unique): TensorRT has no such operator"


def test_operator_that_onnx_does_not_know(model: Any) -> None:
    assert "no such operator" in reasons(model(node("Frobnicate", "x")))[0]


def test_node_that_lacks_an_input(model: Any) -> None:
    assert reasons(model(node("Conv", "x"))) == ["the/Conv (Conv): an input is missing"]


def test_node_without_a_name(model: Any) -> None:
    assert check(model(helper.make_node("Det", ["x"], ["y"])))[0].node == "y"


def test_operator_of_another_domain(model: Any) -> None:
    path = model(
        helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"), domain="com.microsoft"
    )
    assert "of com.microsoft, not of ONNX" in reasons(path)[0]


@pytest.mark.parametrize(("opset", "accepted"), [(8, False), (9, True), (20, True), (21, False)])
def test_opset(model: Any, opset: int, accepted: bool) -> None:
    found = reasons(model(node("Relu", "x"), opset=opset))
    assert found == (
        []
        if accepted
        else [f"The model is of opset {opset}; TensorRT 10.3 (JetPack 6.1) takes 9 to 20"]
    )


def test_type_that_the_operator_does_not_take(model: Any) -> None:
    assert reasons(model(node("Sigmoid", "x"), x=(DOUBLE, [1]), y=DOUBLE)) == [
        "x: FP64 is not a type of an input",
        "the/Sigmoid (Sigmoid): it takes FP32, FP16, BF16, not FP64",
        "the/Sigmoid (Sigmoid): it gives FP64, which TensorRT does not compute with",
    ]
    assert check(model(node("Abs", "x"), x=(INT64, [3]), y=INT64)) == []


def test_where_is_checked_by_its_values(model: Any) -> None:
    chosen = [node("Greater", "x", "zero", output="c"), node("Where", "c", "x", "zero")]
    assert check(model(*chosen, zero=np.float32(0))) == []


def test_equality_of_truths(model: Any) -> None:
    nodes = [node("Greater", "x", "zero", output="c"), node("Equal", "c", "c")]
    (found,) = check(model(*nodes, y=TensorProto.BOOL, zero=np.float32(0)))
    assert "not BOOL" in found.reason


def test_pixels_come_in_and_go_out_and_are_nowhere_between(model: Any) -> None:
    pixels = (UINT8, [1, 8, 8, 3])
    assert check(model(node("Cast", "x", to=FLOAT), x=pixels)) == []
    assert check(model(node("Cast", "x", to=UINT8), y=UINT8)) == []
    turned = node("Transpose", "x", output="t", perm=[0, 3, 1, 2])
    found = check(model(turned, node("Cast", "t", to=FLOAT), x=pixels))
    assert [finding.operator for finding in found] == ["Transpose", "Transpose", "Cast"]
    between = [node("Cast", "x", to=UINT8, output="t"), node("Cast", "t", to=FLOAT)]
    found = check(model(*between))
    assert [finding.operator for finding in found] == ["Cast", "Cast"]


def test_side_that_is_not_fixed(model: Any) -> None:
    assert reasons(model(node("Relu", "x"), x=(FLOAT, ["batch", 4]))) == [
        "x: a side of this input is not fixed"
    ]


def top_k(k: str = "k", **attributes: Any) -> Any:
    return helper.make_node("TopK", ["x", k], ["y", "i"], name="the/TopK", axis=1, **attributes)


def test_top_k(model: Any) -> None:
    wide = (FLOAT, [1, 5000])
    assert check(model(top_k(), x=wide, k=np.array([3840]))) == []
    assert "at most 3840" in reasons(model(top_k(), x=wide, k=np.array([3841])))[0]
    unsorted = model(top_k(sorted=0), x=wide, k=np.array([5]))
    assert "have to be sorted" in reasons(unsorted)[0]
    made = [node("Shape", "x", output="s"), node("Slice", "s", "a", "b", output="k"), top_k()]
    path = model(*made, x=(FLOAT, [1, 5]), a=np.array([1]), b=np.array([2]))
    assert "K has to be stored" in reasons(path)[0]


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_of_opset_19(model: Any, mode: str) -> None:
    grid = np.zeros((1, 2, 2, 2), np.float32)
    assert check(model(node("GridSample", "x", "g", mode=mode), g=grid)) == []


def test_grid_sample_of_opset_20_is_read_wrong(model: Any) -> None:
    grid = np.zeros((1, 2, 2, 2), np.float32)
    for attributes in ({"mode": "linear"}, {}):
        found = reasons(model(node("GridSample", "x", "g", **attributes), opset=20, g=grid))
        assert "reads its mode 'linear' of opset 20 as 'nearest'" in found[0]
    assert check(model(node("GridSample", "x", "g", mode="nearest"), opset=20, g=grid)) == []


def test_grid_sample_of_volumes_or_of_other_types(model: Any) -> None:
    volume = (FLOAT, [1, 4, 2, 8, 8])
    grid = np.zeros((1, 2, 2, 2, 3), np.float32)
    path = model(node("GridSample", "x", "g", mode="nearest"), opset=20, x=volume, g=grid)
    assert "four dimensions" in reasons(path)[0]
    flat = np.zeros((1, 2, 2, 2), np.float32)
    path = model(node("GridSample", "x", "g"), x=(INT64, [1, 1, 2, 2]), y=INT64, g=flat)
    assert "takes FP32, FP16, not INT64" in reasons(path)[0]


def deform_conv(model: Any, kind: Any, pads: list[int]) -> Path:
    zeros = {"w": (4, 4, 3, 3), "o": (1, 18, 8, 8)}
    return model(
        node("DeformConv", "x", "w", "o", kernel_shape=[3, 3], pads=pads),
        x=(kind, [1, 4, 8, 8]),
        y=kind,
        **{
            name: np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind))
            for name, shape in zeros.items()
        },
    )


def test_deform_conv(model: Any) -> None:
    assert check(deform_conv(model, FLOAT, [1, 1, 1, 1])) == []
    assert check(deform_conv(model, TensorProto.FLOAT16, [1, 1, 1, 1])) == []
    found = reasons(deform_conv(model, DOUBLE, [1, 1, 1, 1]))
    assert any("it takes FP32, FP16, not FP64" in reason for reason in found)
    assert "the same on both sides" in reasons(deform_conv(model, FLOAT, [0, 0, 2, 2]))[0]


def test_weights_that_are_computed(model: Any) -> None:
    shaped = node("Reshape", "v", "s", output="w")
    values = {"v": np.zeros((4, 4), np.float32), "s": np.array([4, 4, 1, 1])}
    (found,) = check(model(shaped, node("Conv", "x", "w"), **values))
    assert found == ("the/Conv", "Conv", "the weights have to be stored, not computed")


def test_pooling(model: Any) -> None:
    assert check(model(node("MaxPool", "x", kernel_shape=[3, 3]))) == []
    dilated = model(node("MaxPool", "x", kernel_shape=[3, 3], dilations=[2, 2]))
    assert "dilations" in reasons(dilated)[0]
    line = model(node("AveragePool", "x", kernel_shape=[3]), x=(FLOAT, [1, 4, 8]))
    assert "two or three dimensions" in reasons(line)[0]
    both = helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[3, 3])
    assert "only its first output" in reasons(model(both))[0]


def test_axes_that_are_computed(model: Any) -> None:
    made = [node("Shape", "x", output="s"), node("ReduceSum", "x", "s")]
    assert "the list of axes has to be stored" in reasons(model(*made))[0]
    assert check(model(node("ReduceSum", "x", "a"), a=np.array([1]))) == []
    constant = helper.make_node("Constant", [], ["a"], value=numpy_helper.from_array(np.array([1])))
    assert check(model(constant, node("ReduceSum", "x", "a"))) == []


@pytest.mark.parametrize(
    ("attributes", "accepted"),
    [
        ({"mode": "nearest"}, True),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, True),
        ({"mode": "cubic"}, False),
        ({"mode": "linear", "antialias": 1}, False),
        ({"coordinate_transformation_mode": "half_pixel_symmetric"}, False),
    ],
)
def test_resize(model: Any, attributes: dict[str, Any], accepted: bool) -> None:
    path = model(node("Resize", "x", "", "s", **attributes), s=np.array([1, 1, 2, 2], np.float32))
    assert ("is not supported" in "".join(reasons(path))) is not accepted


def test_scatter_and_normalization_and_constants(model: Any) -> None:
    values = {"i": np.zeros((1, 1), np.int64), "u": np.zeros((1, 4, 8, 8), np.float32)}
    path = model(node("ScatterND", "x", "i", "u", reduction="add"), **values)
    assert "reduction 'add'" in reasons(path)[0]
    ones = {name: np.ones(4, np.float32) for name in "sbmv"}
    training = helper.make_node(
        "BatchNormalization", ["x", *"sbmv"], ["y", "p", "q"], training_mode=1
    )
    assert len(check(model(training, **ones))) == 2
    words = helper.make_node("Constant", [], ["c"], value_string="word")
    found = reasons(model(words, node("Relu", "x")))
    assert any("value_string is not supported" in reason for reason in found)


def quantized(model: Any, **changes: Any) -> Path:
    """A convolution of quantized input and weights, as TensorRT wants it."""
    given = {
        "scale": np.float32(0.1),
        "zero": np.int8(0),
        "weight": np.zeros((4, 4, 1, 1), np.int8),
        "scales": np.full(4, 0.1, np.float32),
        "zeros": np.zeros(4, np.int8),
        "operator": "Conv",
        "axis": 0,
        "dropped": "",
    } | changes
    operator, axis, dropped = given.pop("operator"), given.pop("axis"), given.pop("dropped")
    ends = [part for part in ("scale", "zero") if part != dropped]
    nodes = [
        node("QuantizeLinear", "x", *ends, output="q"),
        node("DequantizeLinear", "q", *ends, output="d"),
        node("DequantizeLinear", "weight", "scales", "zeros", output="w", axis=axis),
        node(operator, "d", "w", *(["b"] if "bias" in given else [])),
    ]
    if "bias" in given:
        nodes.insert(3, node("DequantizeLinear", "bias", "scale", output="b"))
    return model(*nodes, **given)


def test_quantized_as_it_should_be(model: Any) -> None:
    assert check(quantized(model)) == []
    turned = quantized(model, operator="ConvTranspose", axis=1)
    assert check(turned) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"zero": np.int8(3)}, "only symmetric quantization"),
        ({"zeros": np.full(4, 1, np.int8)}, "only symmetric quantization"),
        ({"zero": np.uint8(0)}, "only INT8 is supported; its zero point is UINT8"),
        ({"dropped": "zero"}, "without a zero point it gives UINT8"),
        ({"scale": np.float32(0)}, "the scale has to be positive"),
        ({"axis": 1}, "along axis 1; the weights of a Conv have them along axis 0"),
        ({"bias": np.zeros(4, np.int32)}, "not INT32; keep the bias in floating point"),
        (
            {"scale": np.full(4, 0.1, np.float32), "zero": np.zeros(4, np.int8)},
            "it has 4 scales; only weights may have more than one",
        ),
    ],
)
def test_quantized_otherwise(model: Any, changes: dict[str, Any], reason: str) -> None:
    assert any(reason in found for found in reasons(quantized(model, **changes)))


def test_integers_between_quantization_and_its_end(model: Any) -> None:
    ends = {"s": np.float32(1), "z": np.int8(0)}
    nodes = [
        node("QuantizeLinear", "x", "s", "z", output="q"),
        node("Relu", "q", output="r"),
        node("DequantizeLinear", "r", "s", "z"),
    ]
    assert "not INT8" in reasons(model(*nodes, **ends))[0]


def test_scale_that_is_computed(model: Any) -> None:
    nodes = [node("ReduceMax", "x", keepdims=0, output="s"), node("QuantizeLinear", "x", "s", "z")]
    path = model(*nodes, y=INT8, z=np.int8(0))
    assert "the scale has to be stored" in reasons(path)[0]


def test_graphs_inside_nodes(model: Any) -> None:
    branch = helper.make_graph(
        [node("Det", "x", output="d")],
        "branch",
        [],
        [helper.make_tensor_value_info("d", FLOAT, None)],
    )
    condition = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    found = check(model(condition, c=np.array(True)))
    assert [finding.operator for finding in found] == ["Det", "Det"]


def test_table_names_operators_that_onnx_has() -> None:
    known = {
        schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain
    }
    assert OPERATORS.keys() <= known
    assert len(OPERATORS) > 130
    assert (OPSETS.start, OPSETS.stop) == (9, 21)


def test_file_that_is_no_model(tmp_path: Path) -> None:
    for content in (b"", b"not a model", b"\x08\x07"):
        (tmp_path / "x.onnx").write_bytes(content)
        with pytest.raises(BundleError, match="not an ONNX model"):
            check(tmp_path / "x.onnx")
    with pytest.raises(BundleError, match=r"nothing\.onnx"):
        check(tmp_path / "nothing.onnx")


def test_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match="'onnx'"):
        FlatGraph(tmp_path / "x.onnx")


def test_on_the_command_line(model: Any, tmp_path: Path, capsys: Any) -> None:
    assert _main([str(model(node("Det", "x")))]) == 3
    assert (
        "the/Det (Det): TensorRT has no such operator\nNot accepted: 1." in capsys.readouterr().out
    )
    assert _main([str(tmp_path / "nothing.onnx")]) == 3
    assert capsys.readouterr().err.startswith("Error: ")
    assert _main([]) == 2
    assert _main(["--fast"]) == 2
    capsys.readouterr()
    assert _main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ")
    path = str(model(node("Relu", "x")))
    command = [sys.executable, "-m", "edgekit.targets.jetson.checker", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "TensorRT takes it, by its own tables.\n"
