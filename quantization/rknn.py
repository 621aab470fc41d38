"""Makes INT8 models for Rockchip's neural processors, with EdgeKit's own ranges."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgekit.bundle import Bundle
from edgekit.files.output_paths import writing
from edgekit.quantization import base
from edgekit.quantization.onnx.graph import ACTIVATIONS, load, weighted
from edgekit.quantization.onnx.quantizer import OnnxQuantizer
from edgekit.quantization.rounding.ranges import choose_range, load_histograms
from edgekit.targets.rknn.environment import TOOLKIT, environment, installed_version
from edgekit.targets.rknn.export import MODEL, RANGES, SOURCE, convert, write_ranges

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["RknnQuantizer"]


class RknnQuantizer(OnnxQuantizer):
    """Has Rockchip's toolkit round the weights, with EdgeKit's ranges of the activations.

    The toolkit refuses Q/DQ pairs, and its own ranges lose detections. It takes a list of ranges
    and of tensors that stay float16.
    """

    source = "fp16"

    def version(self) -> dict[str, str]:
        """Returns the versions of the packages and of the toolkit."""
        environment()
        return super().version() | {TOOLKIT: str(installed_version())}

    def layers(self, bundle: Bundle) -> tuple[base.Layer, ...]:
        """Returns the layers; see ``edgekit.quantization.base.Quantizer.layers``."""
        return super().layers(_source(bundle))

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """Returns the float parts; see ``edgekit.quantization.base.Quantizer.left_float``."""
        return super().left_float(_source(bundle), io)

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """Returns the input of each layer; see ``edgekit.quantization.base.Quantizer.readings``."""
        return super().readings(_source(bundle), statistics, method)

    def calibrate(self, bundle: Bundle, inputs: base.Inputs, folder: Path) -> None:
        """Writes the histograms of the network's activations."""
        super().calibrate(_source(bundle), inputs, folder)

    def quantize(
        self, bundle: Bundle, statistics: Path, recipe: base.Recipe, folder: Path
    ) -> base.Written:
        """Writes the model; see ``edgekit.quantization.base.Quantizer.quantize``.

        Raises:
            ConversionError: The toolkit failed.
        """
        model = load(_source(bundle))
        seen = load_histograms(statistics)
        ranges = {name: choose_range(values, recipe.method) for name, values in seen.items()}
        after = _activations(model)
        # The toolkit fuses a layer with its activation: only the values after it are rounded.
        ranges |= {name: ranges[last] for name, last in after.items() if last in ranges}
        kept = {*recipe.keep_float, *self.left_float(bundle)}
        tensors = {name for node in model.graph.node if node.name in kept for name in node.output}
        tensors |= {after[name] for name in tensors if name in after}
        shape = tuple(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim)
        with writing(folder):
            shutil.copyfile(bundle.path / SOURCE, folder / SOURCE)
            write_ranges(folder / RANGES, ranges, tensors, shape)
        assert isinstance(bundle.manifest.chip, str)
        convert(folder / SOURCE, folder / MODEL, bundle.manifest.chip, folder / RANGES)
        return base.Written(MODEL, (MODEL, SOURCE, RANGES))

    def _layers(self, model: ModelProto) -> list[NodeProto]:
        return weighted(model)


def _source(bundle: Bundle) -> Bundle:
    """Returns a bundle as if the ONNX file were its model."""
    manifest = msgspec.structs.replace(bundle.manifest, model=SOURCE)
    return dataclasses.replace(bundle, manifest=manifest)


def _activations(model: ModelProto) -> dict[str, str]:
    """Returns the output of the activation after a tensor, by the tensor's name."""
    return {
        node.input[0]: node.output[0] for node in model.graph.node if node.op_type in ACTIVATIONS
    }
