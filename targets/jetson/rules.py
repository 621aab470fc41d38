"""HOST. Checks what TensorRT's ONNX parser requires of each operator's inputs and attributes.

The source is the column "Restrictions" of the tables that ``operators`` names. Where it says
nothing, the source is the parser's own checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgekit.runtime.types import Array
from edgekit.targets.jetson.graph import FlatGraph

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["MOST_TOP_K", "RULES"]

MOST_TOP_K = 3840
"""Largest K of a TopK operator."""

_RENAMED_MODES = {"linear": "bilinear", "cubic": "bicubic"}
_RESIZE = {
    "coordinate_transformation_mode": (
        *("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn"),
        *("asymmetric", "align_corners"),
    ),
    "mode": ("nearest", "linear"),
    "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    "keep_aspect_ratio_policy": ("stretch",),
    "antialias": (0,),
}
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
_CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1}
_RULE = Callable[[FlatGraph, "NodeProto"], Iterator[str]]


def _convolution(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    weight = node.input[1]
    while (maker := graph.producer(weight)) and maker.op_type in _QUANTIZING:
        weight = maker.input[0]
    if graph.constant(weight) is None:
        yield "the weights have to be stored, not computed"


def _pool(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    if graph.rank(node.input[0]) not in (None, 4, 5):
        yield "pooling is over two or three dimensions"
    if set(graph.attribute(node, "dilations", ())) - {1}:
        yield "dilations other than 1 are not supported"
    yield from _one_output(graph, node)


def _one_output(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    del graph
    if any(node.output[1:]):
        yield "only its first output is supported"


def _stored(index: int, what: str) -> _RULE:
    """Returns the rule that input ``index``, if present, must be a constant."""

    def rule(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
        given = len(node.input) > index and node.input[index]
        if given and graph.constant(node.input[index]) is None:
            yield f"{what} has to be stored, not computed"

    return rule


def _top_k(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    if not graph.attribute(node, "sorted", 1):
        yield "the results have to be sorted"
    k = graph.constant(node.input[1]) if len(node.input) > 1 else graph.attribute(node, "k", 1)
    if k is None:
        yield "K has to be stored, not computed"
    elif int(np.asarray(k).item()) > MOST_TOP_K:
        yield f"K is {int(np.asarray(k).item())}; at most {MOST_TOP_K} is supported"


def _grid_sample(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    if graph.rank(node.input[0]) not in (None, 4):
        yield "its input has to have four dimensions"
    mode = graph.attribute(node, "mode", "linear" if graph.opset >= 20 else "bilinear")
    if graph.opset >= 20 and mode in _RENAMED_MODES:
        # https://github.com/NVIDIA/TensorRT/issues/4646: wrong results without an error.
        yield (
            f"TensorRT reads its mode {mode!r} of opset {graph.opset} as 'nearest'; opset 19 has "
            f"{_RENAMED_MODES[mode]!r}"
        )


def _deform_conv(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    if graph.rank(node.input[0]) not in (None, 3, 4):
        yield "its input has to have one or two spatial dimensions"
    pads: list[int] = list(graph.attribute(node, "pads", ()))
    if pads[: len(pads) // 2] != pads[len(pads) // 2 :]:
        yield "its padding has to be the same on both sides"


def _resize(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    for name, allowed in _RESIZE.items():
        found = graph.attribute(node, name, allowed[0])
        if found not in allowed:
            yield f"{name} {found!r} is not supported"


def _scatter_nd(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    reduction = graph.attribute(node, "reduction", "none")
    if reduction != "none":
        yield f"reduction {reduction!r} is not supported"


def _normalization(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    if graph.attribute(node, "training_mode", 0):
        yield "it is in training mode"
    yield from _one_output(graph, node)


def _constant(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    del graph
    for attribute in node.attribute:
        if attribute.name in ("sparse_value", "value_string", "value_strings"):
            yield f"{attribute.name} is not supported"


def _quantization(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    quantizes = node.op_type == "QuantizeLinear"
    scale = graph.constant(node.input[1])
    if scale is None:
        yield "the scale has to be stored, not computed"
    elif not (np.isfinite(scale) & (scale > 0)).all():
        yield "the scale has to be positive"
    zero = node.input[2] if len(node.input) > 2 else ""
    if quantizes and not zero:
        yield "without a zero point it gives UINT8; only INT8 is supported"
    if zero:
        values = graph.constant(zero)
        if graph.type(zero) != "INT8":
            yield f"only INT8 is supported; its zero point is {graph.type(zero)}"
        elif values is None or values.any():
            yield "the zero point has to be 0: only symmetric quantization is supported"
    if scale is not None and scale.size > 1:
        yield from _per_channel(graph, node, scale)


def _per_channel(graph: FlatGraph, node: NodeProto, scale: Array) -> Iterator[str]:
    source: NodeProto | None = node
    while source is not None and graph.constant(source.input[0]) is None:
        maker = graph.producer(source.input[0])
        source = maker if maker is not None and maker.op_type == "QuantizeLinear" else None
    if source is None:
        yield f"it has {scale.size} scales; only weights may have more than one"
        return
    axis = graph.attribute(node, "axis", 1)
    for user in graph.consumers(node.output[0]):
        expected = _CHANNEL_AXIS.get(user.op_type, axis)
        if axis != expected:
            yield (
                f"its scales lie along axis {axis}; the weights of a {user.op_type} have them "
                f"along axis {expected}"
            )


RULES: dict[str, _RULE] = {
    "AveragePool": _pool,
    "BatchNormalization": _normalization,
    "Constant": _constant,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "CumSum": _stored(1, "the axis"),
    "DeformConv": _deform_conv,
    "DequantizeLinear": _quantization,
    "GridSample": _grid_sample,
    "LayerNormalization": _one_output,
    "LpPool": _pool,
    "MaxPool": _pool,
    "OneHot": _stored(1, "the depth"),
    "QuantizeLinear": _quantization,
    "Resize": _resize,
    "ScatterND": _scatter_nd,
    "Squeeze": _stored(1, "the list of axes"),
    "TopK": _top_k,
    "Unsqueeze": _stored(1, "the list of axes"),
    **{
        f"Reduce{name}": _stored(1, "the list of axes")
        for name in (
            *("L1", "L2", "LogSum", "LogSumExp", "Max"),
            *("Mean", "Min", "Prod", "Sum", "SumSquare"),
        )
    },
}
"""Rules by operator; each yields the reasons why TensorRT does not accept a node."""
