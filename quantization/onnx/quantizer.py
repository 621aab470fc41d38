"""Writes ONNX models with QuantizeLinear and DequantizeLinear, for ONNX Runtime.

ONNX Runtime's own tool places the pairs; the ranges come from
``edgekit.quantization.rounding.ranges``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import edgekit
from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.errors import ConversionError
from edgekit.files.output_paths import output_error, writing
from edgekit.quantization import base
from edgekit.quantization.onnx.graph import (
    ACTIVATIONS,
    OTHERS,
    WEIGHTED,
    convolutions,
    inside,
    load,
    macs,
    network,
    pointwise_ends,
    scope,
    shapes,
    to_round,
    weighted,
)
from edgekit.quantization.onnx.rewrites import as_products, upsample_by_rows
from edgekit.quantization.onnx.weights import put
from edgekit.quantization.rounding.integer_weights import IntegerWeights, load_weights, save_weights
from edgekit.quantization.rounding.ranges import (
    activations,
    choose_range,
    load_histograms,
    save_histograms,
)
from edgekit.runtime.types import Array
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.base import reason_of
from edgekit.targets.muted_output import muted

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime.quantization import QuantType

__all__ = ["OnnxQuantizer", "place", "place_asymmetric"]

_MODEL = "model.onnx"


class OnnxQuantizer(base.Quantizer):
    """Quantizes activations to unsigned 8 bits, and weights to 8 bits per channel.

    A convolution is rounded together with its activation. The network's outputs stay float: 8 bits
    for the whole range of a heatmap's logits would flatten its peaks. Of the last layers, those are
    quantized that ONNX Runtime can compute with a float output.
    """

    methods = ("mse", "percentile", "minmax", "entropy")
    packages: tuple[str, ...] = ("onnx", "onnxruntime")

    def layers(self, bundle: Bundle) -> tuple[base.Layer, ...]:
        """Returns the layers; see ``edgekit.quantization.base.Quantizer.layers``."""
        model = load(bundle)
        sizes = shapes(model)
        return tuple(
            base.Layer(node.name, node.op_type, macs(node, sizes)) for node in self._layers(model)
        )

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """Returns the float parts; see ``edgekit.quantization.base.Quantizer.left_float``."""
        model = load(bundle)
        nodes, rounded = inside(model), {node.name for node in self._layers(model)}
        ends = {n.name for n in nodes if n.op_type in WEIGHTED} - rounded
        found = super().left_float(bundle, io) | dict.fromkeys(sorted(ends), base.LAST)
        moved = {scope(n) for n in network(model)} - {scope(n) for n in nodes}
        return found | base.sampling(moved)

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """Returns the input of each layer; see ``edgekit.quantization.base.Quantizer.readings``."""
        seen = load_histograms(statistics)
        return {
            node.name: base.Reading(name, seen[name], *choose_range(seen[name], method))
            for node in self._layers(load(bundle))
            if (name := node.input[0]) in seen
        }

    def calibrate(self, bundle: Bundle, inputs: base.Inputs, folder: Path) -> None:
        """Writes the histograms of the network's activations, and its integer weights."""
        model = load(bundle)
        nodes = inside(model)
        names = {name for node in nodes for name in (*node.input, *node.output)}
        layers = convolutions(model, self._layers(model))
        read = {node.name: node.input[0] for node in nodes}

        def look(sample: int, seen: Mapping[str, Array]) -> None:
            for name, layer in layers.items():
                layer.look(seen[read[name]], sample)

        found = activations(model, names, inputs, look)
        integers = {name: layer.integers() for name, layer in layers.items()}
        with writing(folder):
            save_histograms(found, folder)
            save_weights(integers, folder)

    def quantize(
        self,
        bundle: Bundle,
        statistics: Path,
        recipe: base.Recipe,
        folder: Path,
    ) -> base.Written:
        """Writes the model; see ``edgekit.quantization.base.Quantizer.quantize``."""
        model = load(bundle)
        seen = load_histograms(statistics)
        ranges = {name: choose_range(values, recipe.method) for name, values in seen.items()}
        weights = load_weights(statistics)
        try:
            with muted():
                made = self._placed(model, ranges, weights, recipe.keep_float)
        except OSError as error:  # the tool writes the model to a temporary file
            raise output_error(error, Path(tempfile.gettempdir())) from error
        except Exception as error:  # the tool does not wrap its errors
            raise ConversionError(
                f"ONNX Runtime's tool could not quantize {bundle.model_path}: {reason_of(error)}",
                hint=f"Keep the layer that it names in float: {parameter('keep_float', 'NODE')}",
            ) from error
        _clean(made)
        with writing(folder / _MODEL):
            (folder / _MODEL).write_bytes(made.SerializeToString(deterministic=True))
        return base.Written(_MODEL, (_MODEL,))

    def _layers(self, model: ModelProto) -> list[NodeProto]:
        """Returns the nodes whose weights are rounded; a subclass may return others."""
        return [*weighted(model), *pointwise_ends(model)]

    def _placed(
        self,
        model: ModelProto,
        ranges: dict[str, tuple[float, float]],
        weights: dict[str, IntegerWeights],
        keep_float: frozenset[str],
    ) -> ModelProto:
        """Returns the model with QuantizeLinear/DequantizeLinear pairs; subclasses may differ."""
        ends = {node.name for node in pointwise_ends(model)} - keep_float
        upsample_by_rows(model, to_round(model, keep_float))
        made = place_asymmetric(model, ranges, weights, keep_float)
        as_products(made, [n for n in made.graph.node if n.name in ends], weights, ranges)
        return made


def place_asymmetric(
    model: ModelProto,
    ranges: dict[str, tuple[float, float]],
    weights: dict[str, IntegerWeights],
    keep_float: frozenset[str],
) -> ModelProto:
    """Returns a model with pairs around all nodes but some, with zero points; see ``place``."""
    import_onnxruntime()
    from onnxruntime.quantization import QuantType

    return place(
        model,
        ranges,
        weights,
        to_round(model, keep_float),
        kinds=(*WEIGHTED, *ACTIVATIONS, *OTHERS),
        activation=QuantType.QUInt8,
        options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )


def place(
    model: ModelProto,
    ranges: dict[str, tuple[float, float]],
    weights: dict[str, IntegerWeights],
    nodes: list[str],
    *,
    kinds: tuple[str, ...],
    activation: QuantType,
    options: dict[str, object],
) -> ModelProto:
    """Returns a model with QuantizeLinear and DequantizeLinear around given nodes.

    Args:
        model: An ``onnx.ModelProto`` with all shapes, which is changed.
        ranges: Lowest and highest value of each tensor.
        weights: Integer weights of each convolution, by its name.
        nodes: Names of the nodes to quantize.
        kinds: Operators to quantize.
        activation: ``onnxruntime.quantization.QuantType`` of the activations.
        options: Value of the tool's ``extra_options``.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorsData

    data = {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    chosen = set(nodes)
    rounded = [n for n in model.graph.node if n.name in weights and n.name in chosen]
    overrides = put(model, rounded, weights)
    tool = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=activation,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=[],  # all: a list of none would mean the same, so the others are excluded
        nodes_to_exclude=[node.name for node in model.graph.node if node.name not in chosen],
        op_types_to_quantize=list(kinds),
        extra_options={**options, "TensorQuantOverrides": overrides},
    )
    tool.quantize_model()
    placed: ModelProto = tool.model.model
    return placed


def _clean(model: ModelProto) -> None:
    """Removes from the file all that is not read or depends on machine, date or run."""
    read = {name for node in model.graph.node for name in node.input}
    stored = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(stored)
    model.producer_name, model.producer_version = "edgekit", edgekit.__version__
    model.ClearField("doc_string")
    del model.metadata_props[:]
    del model.graph.value_info[:]
