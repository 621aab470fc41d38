"""Writes OpenVINO IR with 8-bit weights and activations.

NNCF decides where a network is rounded, and rounds the weights. The ranges of the activations come
from ``edgekit.quantization.rounding.ranges``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bundle import Bundle
from edgekit.errors import (
    BundleError,
    ConversionError,
    EdgeKitError,
)
from edgekit.files.output_paths import writing
from edgekit.quantization import base
from edgekit.quantization.openvino.graph import (
    is_whole,
    macs,
    outside,
    release,
    rounding_before,
    roundings,
    source,
    weighted,
)
from edgekit.quantization.openvino.weights import convolutions, put
from edgekit.quantization.rounding.integer_weights import Convolution, load_weights, save_weights
from edgekit.quantization.rounding.ranges import (
    Histogram,
    choose_range,
    load_histograms,
    overflow_error,
    save_histograms,
)
from edgekit.runtime.types import Array
from edgekit.system.installation import install_line
from edgekit.targets.muted_output import muted
from edgekit.targets.openvino.importing import (
    import_from_extra,
    import_openvino,
    openvino_core,
    openvino_reason,
)
from edgekit.targets.openvino.ir import MODEL, WEIGHTS, clean, save

__all__ = ["OpenVinoQuantizer"]

_CHANNELS = "channels.npz"
_PURPOSE = "Quantizing a bundle for the target openvino"
_STEPS = 255


class OpenVinoQuantizer(base.Quantizer):
    """Quantizes activations to unsigned 8 bits, and weights to signed 8 bits per channel.

    A processor without VNNI adds two 8-bit products in 16 bits and saturates on overflow.
    Neighbouring weights of a convolution are therefore never both large; weights of other layers
    have 7 bits.

    The input of a depthwise convolution has a range per channel, given by its extremes with every
    method. Deformable convolutions, the cascade and the decoding stay float, as do operators that
    compute positions in the picture.
    """

    methods = ("mse", "percentile", "minmax", "entropy")
    extra = "openvino-host"
    packages = ("nncf", "openvino")

    def layers(self, bundle: Bundle) -> tuple[base.Layer, ...]:
        """Returns the layers; see ``edgekit.quantization.base.Quantizer.layers``."""
        model = _read(bundle.model_path)
        return tuple(
            base.Layer(operator.get_friendly_name(), operator.get_type_name(), macs(operator))
            for operator in weighted(model)
        )

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """Returns the float parts; see ``edgekit.quantization.base.Quantizer.left_float``."""
        names = outside(_read(bundle.model_path))
        moved = {name.partition("/")[0] for name in names} - {"cascade", "decode"}
        return super().left_float(bundle, io) | base.sampling(moved)

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """Returns the input of each layer; see ``edgekit.quantization.base.Quantizer.readings``."""
        del bundle  # the statistics contain the network as well
        seen = load_histograms(statistics)
        with np.load(statistics / _CHANNELS) as file:
            extremes = {
                name: (float(ends[0].min()), float(ends[1].max())) for name, ends in file.items()
            }
        model = _read(statistics / MODEL)
        found = {}
        for layer in weighted(model):
            rounding = rounding_before(layer)
            if rounding is not None:
                name = source(rounding)
                ends = choose_range(seen[name], method) if is_whole(rounding) else extremes[name]
                found[layer.get_friendly_name()] = base.Reading(name, seen[name], *ends)
        return found

    def calibrate(self, bundle: Bundle, inputs: base.Inputs, folder: Path) -> None:
        """Writes the network with rounding operators, and the histograms of rounded tensors."""
        openvino = import_openvino(_PURPOSE)
        model = _read(bundle.model_path)
        rounded = _with_roundings(model, inputs)
        layers = convolutions(model)
        found, extremes = _activations(model, rounded, inputs, layers)
        integers = {name: layer.integers() for name, layer in layers.items()}
        with writing(folder):
            save(openvino, rounded, folder)
            save_histograms(found, folder)
            np.savez(folder / _CHANNELS, allow_pickle=False, **extremes)
            save_weights(integers, folder)

    def quantize(
        self,
        bundle: Bundle,
        statistics: Path,
        recipe: base.Recipe,
        folder: Path,
    ) -> base.Written:
        """Writes the model; see ``edgekit.quantization.base.Quantizer.quantize``."""
        del bundle  # the statistics contain the network as well
        openvino = import_openvino(_PURPOSE)
        from openvino._offline_transformations import compress_quantize_weights_transformation

        model = _read(statistics / MODEL)
        base.refuse_unknown(
            recipe.keep_float, {layer.get_friendly_name() for layer in weighted(model)}
        )
        release(model, recipe.keep_float)
        put(model, load_weights(statistics), recipe.keep_float)
        _set_ranges(model, statistics, recipe.method)
        compress_quantize_weights_transformation(model)
        clean(model)
        with writing(folder / MODEL):
            save(openvino, model, folder)
        return base.Written(MODEL, (MODEL, WEIGHTS))


def _read(path: Path) -> Any:
    try:
        return openvino_core(_PURPOSE).read_model(path)
    except RuntimeError as error:
        raise BundleError(
            f"{path} is not a model in OpenVINO's IR: {openvino_reason(error)}",
            hint="Export it again: edgekit export CHECKPOINT --target openvino",
        ) from error


def _with_roundings(model: Any, inputs: base.Inputs) -> Any:
    """Returns a copy with NNCF's FakeQuantize operators; activation ranges are placeholders."""
    loggers = logging.getLoggerClass()
    try:
        with muted():
            nncf = import_from_extra("nncf", "openvino-host", _PURPOSE)
            return nncf.quantize(
                model,
                nncf.Dataset([dict(inputs[0])]),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=1,
                ignored_scope=nncf.IgnoredScope(names=sorted(outside(model)), validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=nncf.OverflowFix.ENABLE,
                    disable_bias_correction=True,
                    backend_params={"compress_weights": False},
                ),
            )
    except EdgeKitError:
        raise
    except Exception as error:  # its exceptions have no common base class
        raise ConversionError(
            f"NNCF {version('nncf')} could not quantize the network: {openvino_reason(error)}",
            hint="Install the versions that EdgeKit is tested with: "
            f"{install_line('openvino-host')}",
        ) from error
    finally:
        logging.setLoggerClass(loggers)  # importing NNCF replaces the default logger class


def _activations(
    model: Any,
    rounded: Any,
    inputs: base.Inputs,
    convolved: Mapping[str, Convolution],
) -> tuple[dict[str, Histogram], dict[str, Array]]:
    """Returns histograms of rounded tensors, and extremes (2, C) of those with channel ranges."""
    sources = {source(rounding) for rounding in roundings(rounded)}
    by_channel = {source(rounding) for rounding in roundings(rounded) if not is_whole(rounding)}
    watched = [o for o in model.get_ordered_ops() if o.get_friendly_name() in sources]
    layers = weighted(model)
    # Activation functions can hide NaN, so the sums before them are checked.
    sums = [_sum(layer) for layer in layers]
    shown = [operator.output(0) for operator in (*sums, *watched)]
    places = {_port(output): place for place, output in enumerate(shown)}
    read = {}
    for layer in layers:
        # An output that is requested twice exists only once.
        read[layer.get_friendly_name()] = port = _port(layer.input_value(0))
        if layer.get_friendly_name() in convolved and port not in places:
            places[port] = len(shown)
            shown.append(layer.input_value(0))
    first = len(model.outputs)
    model.add_outputs(shown)
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino_core(_PURPOSE).compile_model(model, "CPU", config).create_infer_request()
    names = [operator.get_friendly_name() for operator in (*layers, *watched)]
    found = {name: Histogram() for name in names[len(layers) :]}
    extremes: dict[str, Array] = {}
    for number, given in enumerate(inputs):
        request.infer(dict(given), share_inputs=True, share_outputs=True)
        values = [request.get_output_tensor(first + index).data for index in range(len(names))]
        bad = [n for n, value in zip(names, values, strict=True) if not np.isfinite(value).all()]
        if bad:
            raise overflow_error(f"{bad[0]} gives NaN or an infinite value", number)
        for name, value in zip(names[len(layers) :], values[len(layers) :], strict=True):
            found[name].add(value)
            if name in by_channel:
                rows = value.reshape(value.shape[1], -1)
                low, high = extremes.get(name, (np.inf, -np.inf))
                extremes[name] = np.stack(
                    [np.minimum(low, rows.min(1)), np.maximum(high, rows.max(1))]
                )
        for name, layer in convolved.items():
            layer.look(request.get_output_tensor(first + places[read[name]]).data, number)
    return found, extremes


def _port(output: Any) -> tuple[str, int]:
    return output.get_node().get_friendly_name(), output.get_index()


def _sum(layer: Any) -> Any:
    from openvino import opset8

    axes = np.arange(len(layer.output(0).get_shape()))
    return opset8.reduce_sum(layer.output(0), opset8.constant(axes))


def _set_ranges(model: Any, statistics: Path, method: str) -> None:
    from openvino import opset8

    seen = load_histograms(statistics)
    with np.load(statistics / _CHANNELS) as file:
        extremes = dict(file)
    for rounding in roundings(model):
        name = source(rounding)
        shape = list(rounding.input(1).get_shape())
        if is_whole(rounding):
            low, high = (np.full(shape, end) for end in choose_range(seen[name], method))
        else:
            low, high = (end.reshape(shape) for end in extremes[name])
        for place, ends in enumerate(_with_zero(low, high)):
            constant = opset8.constant(ends.astype(np.float32))
            for input_ in (rounding.input(1 + place), rounding.input(3 + place)):
                input_.replace_source_output(constant.output(0))


def _with_zero(low: Array, high: Array) -> tuple[Array, Array]:
    """Returns the range, shifted so that zero, the padding value, is one of its steps."""
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    step = np.where(high > low, high - low, 1) / _STEPS
    zero = np.rint(-low / step)
    return -zero * step, (_STEPS - zero) * step
