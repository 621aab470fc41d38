"""HOST. ONNX models with QuantizeLinear and DequantizeLinear: of integers on ONNX Runtime.

ONNX Runtime's own tool places the pairs; the ranges come from ``edgekit.quantization.ranges``.
"""

from __future__ import annotations

import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgekit._files import writing
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, ConversionError, MissingDependencyError
from edgekit.quantization import base
from edgekit.quantization.ranges import (
    activations,
    choose_range,
    load_histograms,
    save_histograms,
)
from edgekit.targets.base import reason_of
from edgekit.targets.silence import silence

__all__ = ["WEIGHTED", "Quantizer", "place", "weighted"]

_MODEL = "model.onnx"
_STATISTICS = "activations.npz"
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that multiply by weights."""
_ACTIVATIONS = ("Clip", "Relu")
_OTHERS = ("Add", "Concat", "MaxPool", "Resize")
_LARGEST_WEIGHT = 127
_OUTSIDE = ("cascade", "decode")
_MOVED = ("DeformConv", "GridSample", "Gather", "GatherElements", "MatMul")
"""In a layer that has one of these beside its convolution, numbers are places in the picture."""


class Quantizer(base.Quantizer):
    """Activations in 8 bits without a sign, weights in 8 bits a channel.

    Convolutions are rounded together with their activation. The layers that give the network's
    outputs stay float: 8 bits for the whole range of a heatmap's logits would flatten its peaks.
    """

    methods = ("minmax", "percentile", "entropy", "mse")
    packages = ("onnx", "onnxruntime")

    def layers(self, bundle: Bundle) -> tuple[base.Layer, ...]:
        """See ``edgekit.quantization.base.Quantizer.layers``."""
        model = _load(bundle)
        sizes = _shapes(model)
        return tuple(
            base.Layer(node.name, node.op_type, _macs(node, sizes)) for node in weighted(model)
        )

    def left_float(self, bundle: Bundle) -> dict[str, str]:
        """See ``edgekit.quantization.base.Quantizer.left_float``."""
        model = _load(bundle)
        inside, rounded = _inside(model), {node.name for node in weighted(model)}
        ends = {n.name for n in inside if n.op_type in WEIGHTED} - rounded
        found = super().left_float(bundle) | dict.fromkeys(sorted(ends), base.LAST)
        moved = {_scope(n) for n in _network(model)} - {_scope(n) for n in inside}
        return found | base.sampling(moved)

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """See ``edgekit.quantization.base.Quantizer.readings``."""
        seen = load_histograms(statistics / _STATISTICS)
        return {
            node.name: base.Reading(name, seen[name], *choose_range(seen[name], method))
            for node in weighted(_load(bundle))
            if (name := node.input[0]) in seen
        }

    def calibrate(self, bundle: Bundle, inputs: base.Inputs, folder: Path) -> None:
        """Writes the histograms of the network's activations."""
        model = _load(bundle)
        nodes = _inside(model)
        names = {name for node in nodes for name in (*node.input, *node.output)}
        found = activations(model, names, inputs)
        with writing(folder):
            save_histograms(found, folder / _STATISTICS)

    def quantize(
        self,
        bundle: Bundle,
        statistics: Path,
        recipe: base.Recipe,
        folder: Path,
    ) -> base.Written:
        """See ``edgekit.quantization.base.Quantizer.quantize``."""
        model = _load(bundle)
        seen = load_histograms(statistics / _STATISTICS)
        ranges = {name: choose_range(values, recipe.method) for name, values in seen.items()}
        try:
            with silence():
                made = self._placed(model, ranges, recipe.keep_float)
        except Exception as error:  # the tool raises whatever happens to it
            raise ConversionError(
                f"ONNX Runtime's tool could not quantize {bundle.model_path}: {reason_of(error)}",
                mend="Leave the layer float that it names: --keep-float NODE",
            ) from error
        _clean(made)
        with writing(folder / _MODEL):
            (folder / _MODEL).write_bytes(made.SerializeToString(deterministic=True))
        return base.Written(_MODEL, (_MODEL,))

    def _placed(
        self, model: Any, ranges: dict[str, tuple[float, float]], keep_float: frozenset[str]
    ) -> Any:
        """The model with pairs of QuantizeLinear and DequantizeLinear; a subclass may differ."""
        from onnxruntime.quantization import QuantType

        return place(
            model,
            ranges,
            _nodes(model, keep_float),
            kinds=(*WEIGHTED, *_ACTIVATIONS, *_OTHERS),
            activation=QuantType.QUInt8,
            options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )


def place(
    model: Any,
    ranges: dict[str, tuple[float, float]],
    nodes: list[str],
    *,
    kinds: tuple[str, ...],
    activation: Any,
    options: dict[str, Any],
) -> Any:
    """A model with QuantizeLinear and DequantizeLinear around given nodes.

    Args:
        model: An ``onnx.ModelProto`` with all shapes.
        ranges: Lowest and highest value of each tensor.
        nodes: Names of those to quantize.
        kinds: Operators to quantize.
        activation: ``onnxruntime.quantization.QuantType`` of the activations.
        options: The tool's ``extra_options``.
    """
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorsData

    data = {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    tool = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=activation,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=[],  # which would mean all where it is empty
        nodes_to_exclude=[node.name for node in model.graph.node if node.name not in set(nodes)],
        op_types_to_quantize=list(kinds),
        extra_options={**options, "TensorQuantOverrides": _weight_scales(model, nodes)},
    )
    tool.quantize_model()
    return tool.model.model


def _weight_scales(model: Any, nodes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The scale of each output channel's weights, so that no processor overflows.

    Processors without VNNI add two neighbouring products of 8 bits in 16, and where that is too
    much they take the largest number there is: on AVX2, full weights cost 6 dB of the heads. So
    two weights that may be neighbours, in whichever order they are stored, are kept to a sum of
    127; the usual remedy, weights of 7 bits throughout, loses twice as much.
    """
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name not in nodes or node.input[1] not in stored:
            continue
        weights = np.abs(numpy_helper.to_array(stored[node.input[1]]).astype(np.float64))
        span = weights.reshape(len(weights), -1).max(1)
        if weights.shape[1] > 1:  # a depthwise convolution has kernels of its own
            for order in (weights, weights.transpose(0, *range(2, weights.ndim), 1)):
                flat = order.reshape(len(weights), -1)
                span = np.maximum(span, (flat[:, :-1] + flat[:, 1:]).max(1))
        scales = np.where(span > 0, span / _LARGEST_WEIGHT, 1).astype(np.float32)
        zero = np.zeros((), np.int8)
        found[node.input[1]] = [
            {"quant_type": QuantType.QInt8, "axis": 0, "scale": scale, "zero_point": zero}
            for scale in scales
        ]
    return found


def _load(bundle: Bundle) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError.for_extra("onnx", "host", "Quantizing a model") from error
    try:
        return onnx.shape_inference.infer_shapes(onnx.load(str(bundle.model_path)))
    except Exception as error:  # protobuf's and onnx's exceptions have no common base
        raise BundleError(
            f"{bundle.model_path} is not an ONNX model: {reason_of(error)}",
            mend="Export it again: edgekit export CHECKPOINT --target onnx",
        ) from error


def _scope(node: Any) -> str:
    """The layer that a node was made from: its name up to the operator."""
    return str(node.name).rpartition("/")[0]


def _network(model: Any) -> list[Any]:
    """The nodes without those of the cascade and the decoding."""
    return [
        n for n in model.graph.node if n.name.partition(".")[0].partition("/")[0] not in _OUTSIDE
    ]


def _inside(model: Any) -> list[Any]:
    """The network's nodes, without what computes places in the picture."""
    nodes = _network(model)
    moved = {_scope(node) for node in nodes if node.op_type in _MOVED and _scope(node)}
    return [node for node in nodes if _scope(node) not in moved]


def weighted(model: Any) -> list[Any]:
    """The nodes of the network that have weights, without those that give its outputs."""
    network = {node.name for node in _network(model)}
    outputs = {value.name for value in model.graph.output}
    # What decodes within the model reads what would be outputs without it.
    outputs |= {name for n in model.graph.node if n.name not in network for name in n.input}
    return [n for n in _inside(model) if n.op_type in WEIGHTED and n.output[0] not in outputs]


def _nodes(model: Any, keep_float: frozenset[str]) -> list[str]:
    """Names of the nodes to quantize: what follows a layer goes with it."""
    layers = {node.name for node in weighted(model)} - keep_float
    rounded: set[str] = set()
    chosen = []
    for node in _inside(model):
        if node.op_type in WEIGHTED:
            wanted = node.name in layers
        else:
            # Between layers that are float, rounding would cost accuracy and time.
            follows = node.op_type in (*_ACTIVATIONS, *_OTHERS) and not rounded.isdisjoint(
                node.input
            )
            wanted = follows and node.name not in keep_float
        if wanted:
            chosen.append(node.name)
            rounded.update(node.output)
    return chosen


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    found = {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in (*model.graph.value_info, *model.graph.output)
    }
    return found | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _macs(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    weight = shapes.get(node.input[1], ())
    if node.op_type == "ConvTranspose":  # each value that comes in meets all weights of its channel
        return math.prod(weight) * math.prod(shapes.get(node.input[0], ())[2:])
    # Each weight of an output channel is used once for each place in the picture.
    return math.prod(weight) * math.prod(shapes.get(node.output[0], ())[2:])


def _clean(model: Any) -> None:
    """Leaves nothing in the file that depends on the machine, the day or the run."""
    model.producer_name, model.producer_version = "edgekit", version("edgekit")
    model.ClearField("doc_string")
    del model.metadata_props[:]
    del model.graph.value_info[:]
