"""Writes TFLite files with 8-bit weights and activations, by ai-edge-quantizer.

The ranges of the activations come from ``edgekit.quantization.rounding.ranges``: the tool's own
calibration keeps all samples in memory, and averages their extremes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.errors import (
    ConversionError,
    UsageError,
)
from edgekit.files.output_paths import writing
from edgekit.quantization import base
from edgekit.quantization.choices import DYNAMIC
from edgekit.quantization.rounding.integer_weights import Convolution, load_weights, save_weights
from edgekit.quantization.rounding.ranges import (
    Histogram,
    choose_range,
    load_histograms,
    overflow_error,
    save_histograms,
)
from edgekit.quantization.tflite._tables import package
from edgekit.quantization.tflite.graph import CASCADE, DECODE, TFLiteGraph
from edgekit.quantization.tflite.names import short_names
from edgekit.quantization.tflite.rewrites import rewritten
from edgekit.quantization.tflite.weights import TFLiteWeights
from edgekit.system.installation import install_line
from edgekit.targets.base import reason_of
from edgekit.targets.muted_output import muted

__all__ = ["TfliteQuantizer"]

_MODEL = "model.tflite"
_OFFSETS = ".conv_offset_mask"
"""Suffix of the layer that computes the offsets of a deformable convolution."""
_NETWORK_ALONE = (
    "Export the network alone: edgekit export CHECKPOINT --target tflite --cascade-in host "
    "--decode-in host"
)


class TfliteQuantizer(base.Quantizer):
    """Quantizes activations to 8 bits, and weights to 8 bits per channel.

    Inputs and outputs are float, or 8 bits for integer-only processors.

    A layer has the name of its output tensor. The layers that produce the network's outputs stay
    float: 256 steps for all values of a heatmap or a size would be too coarse. The cascade and the
    decoding also stay float. In a deformable convolution only the convolution and the matrix
    product are quantized.
    """

    methods = ("mse", "percentile", "minmax", "entropy", DYNAMIC)
    ios = ("float", "int8")
    extra = "tflite-host"
    packages = ("ai-edge-litert", "ai-edge-quantizer")

    def check_recipe(self, bundle: Bundle, recipe: base.Recipe) -> None:
        """Raises ``UsageError`` if the model cannot have integer inputs and outputs."""
        if recipe.io == "float":
            return
        manifest = bundle.manifest
        if "graph" in (manifest.cascade.place, manifest.decode.place):
            raise UsageError(
                "A model with int8 inputs and outputs can contain the network only; "
                f"{bundle.path} also contains the cascade or the decoding.",
                hint=_NETWORK_ALONE,
            )
        if recipe.method == DYNAMIC:
            raise UsageError(
                "The method dynamic keeps activations in float, so the inputs and outputs are "
                "float as well.",
                hint=f"Leave out {parameter('io')}, or choose another {parameter('method')}.",
            )

    def layers(self, bundle: Bundle) -> tuple[base.Layer, ...]:
        """Returns the layers; see ``edgekit.quantization.base.Quantizer.layers``."""
        operators = TFLiteGraph(bundle.model_path).layers
        labels = short_names([operator.name for operator in operators])
        return tuple(base.Layer(o.name, o.kind, o.macs, labels[o.name]) for o in operators)

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """Returns the float parts; see ``edgekit.quantization.base.Quantizer.left_float``."""
        graph = TFLiteGraph(bundle.model_path)
        weighted = [operator.name for operator in graph.layers]
        labels = short_names([*weighted, *sorted(graph.last)])
        found = super().left_float(bundle, io)
        if io == "float":
            found |= {labels[name]: base.LAST for name in sorted(graph.last)}
        offsets = (labels[name] for name in weighted if labels[name].endswith(_OFFSETS))
        return found | base.sampling({label.removesuffix(_OFFSETS) for label in offsets})

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """Returns the input of each layer; see ``edgekit.quantization.base.Quantizer.readings``."""
        if method == DYNAMIC:
            return {}
        seen = load_histograms(statistics)
        return {
            operator.name: base.Reading(name, seen[name], *choose_range(seen[name], method))
            for operator in TFLiteGraph(bundle.model_path).layers
            for name in operator.given[:1]
        }

    def calibrate(self, bundle: Bundle, inputs: base.Inputs, folder: Path) -> None:
        """Writes the histograms of all activations, and the integer weights."""
        graph = TFLiteGraph(bundle.model_path)
        layers = {layer.name for layer in graph.layers}
        found = TFLiteWeights(bundle.model_path).convolutions()
        convolved = {name: found[name] for name in found if name in layers}
        seen = _activations(graph, bundle.model_path, inputs, convolved)
        integers = {name: layer.integers() for name, (_, layer) in convolved.items()}
        with writing(folder):
            save_histograms(seen, folder)
            save_weights(integers, folder)

    def quantize(
        self,
        bundle: Bundle,
        statistics: Path,
        recipe: base.Recipe,
        folder: Path,
    ) -> base.Written:
        """Writes the model; see ``edgekit.quantization.base.Quantizer.quantize``."""
        graph = TFLiteGraph(bundle.model_path)
        _check_parts(bundle, graph)
        layers = {operator.name for operator in graph.layers}
        base.refuse_unknown(recipe.keep_float, layers)
        self.check_recipe(bundle, recipe)
        seen = load_histograms(statistics)
        ranges = {
            name: choose_range(values, recipe.method)
            for name, values in seen.items()
            if recipe.method != DYNAMIC
        }
        weights = load_weights(statistics)
        model = TFLiteWeights(bundle.model_path).put(weights, recipe.keep_float)
        ends = graph.last if recipe.io == "int8" else frozenset()
        kept = graph.scopes_kept(recipe.keep_float, ends)
        content = rewritten(_quantized(model, ranges, kept, recipe))
        with writing(folder):
            (folder / _MODEL).write_bytes(content)
        _check_layers(TFLiteGraph(folder / _MODEL), (layers | ends) - recipe.keep_float)
        return base.Written(_MODEL, (_MODEL,))


def _activations(
    graph: TFLiteGraph,
    model: Path,
    inputs: base.Inputs,
    convolved: Mapping[str, tuple[str, Convolution]],
) -> dict[str, Histogram]:
    interpreter = _interpreter(model)
    places = {tensor["name"]: tensor["index"] for tensor in interpreter.get_tensor_details()}
    (signature,) = interpreter._get_full_signature_list().values()
    found = {name: Histogram() for name in graph.activations}
    for number, given in enumerate(inputs):
        for name, value in given.items():
            interpreter.set_tensor(signature["inputs"][name], value)
        interpreter.invoke()
        for name, histogram in found.items():
            values = interpreter.get_tensor(places[name])
            if name in graph.padded:
                values = values[values > -np.inf]
            try:
                histogram.add(values)
            except FloatingPointError as error:
                raise overflow_error(f"{name} is {error}", number) from error
        for name, layer in convolved.values():
            layer.look(interpreter.get_tensor(places[name]).transpose(0, 3, 1, 2), number)
    return found


def _interpreter(model: Path) -> Any:
    """Returns an interpreter that keeps the output of every operator."""
    create = package("ai_edge_litert.interpreter").Interpreter
    with muted():
        interpreter = create(model_path=str(model), experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
    return interpreter


def _check_parts(bundle: Bundle, graph: TFLiteGraph) -> None:
    """Raises if a part must stay float but cannot be distinguished from the network."""
    manifest = bundle.manifest
    for place, mark in ((manifest.cascade.place, CASCADE), (manifest.decode.place, DECODE)):
        if place == "graph" and not any(mark in operator.name for operator in graph.operators):
            raise UsageError(
                f"EdgeKit cannot tell the network in {bundle.path} from the cascade and the "
                "decoding in the same model.",
                hint=_NETWORK_ALONE,
            )


def _quantized(
    model: bytes, ranges: dict[str, tuple[float, float]], kept: list[str], recipe: base.Recipe
) -> bytes:
    tools = package("ai_edge_quantizer")
    names = tools.qtyping.TFLOperationName
    leave = tools.algorithm_manager.AlgorithmName.NO_QUANTIZE
    statistics = {
        name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        for name, (low, high) in ranges.items()
    }
    try:
        with muted():
            dynamic = recipe.method == DYNAMIC
            ways = tools.recipe
            way = ways.dynamic_wi8_afp32() if dynamic else ways.static_wi8_ai8()
            tool = tools.quantizer.Quantizer(model, way)
            for kind in (names.INPUT, names.OUTPUT) if recipe.io == "float" else ():
                tool.update_quantization_recipe(".*", kind, algorithm_key=leave)
            for scope in kept:
                regex = rf"^{re.escape(scope)}\Z"
                tool.update_quantization_recipe(regex, names.ALL_SUPPORTED, algorithm_key=leave)
            made = tool.quantize(None if dynamic else statistics, enable_progress_report=False)
    except Exception as error:  # the tool does not wrap its errors
        raise ConversionError(
            f"ai-edge-quantizer {version('ai-edge-quantizer')} could not quantize the network: "
            f"{reason_of(error)}",
            hint=f"Install the versions that EdgeKit is tested with: {install_line('tflite-host')}",
        ) from error
    return bytes(made.quantized_model)


def _check_layers(graph: TFLiteGraph, wanted: set[str]) -> None:
    """Raises unless exactly the wanted layers have integer weights."""
    found = {o.name for o in graph.operators if o.weights and o.weights != "FLOAT32"}
    if found != wanted:
        names = ", ".join(sorted(found ^ wanted)[:5])
        raise ConversionError(
            f"ai-edge-quantizer {version('ai-edge-quantizer')} did not quantize {names} as "
            "requested.",
            hint=f"Keep other layers in float: {parameter('keep_float', 'LAYER')}",
        )
