"""Writes ncnn models with 8-bit weights and activations.

ncnn's own quantizer is a C++ program that no wheel has. EdgeKit writes what it would write: integer
weights, their scales, and the scale of each layer's input. Ranges and weights come from
``edgekit.quantization.rounding``.
"""

from __future__ import annotations

from pathlib import Path

from edgekit.bundle import Bundle
from edgekit.files.output_paths import writing
from edgekit.quantization import base
from edgekit.quantization.ncnn.activations import activations
from edgekit.quantization.ncnn.graph import convolution, floats, nonnegative, source, weighted
from edgekit.quantization.ncnn.placing import placed
from edgekit.quantization.rounding.integer_weights import load_weights, save_weights
from edgekit.quantization.rounding.ranges import choose_range, load_histograms, save_histograms
from edgekit.targets.ncnn.model import read_model, write_model
from edgekit.targets.ncnn.structure import multiply_adds

__all__ = ["NcnnQuantizer"]


class NcnnQuantizer(base.Quantizer):
    """Quantizes activations and weights to signed 8 bits, weights per channel.

    ncnn has no zero points, so ranges are symmetric. The outputs of the network are float. Layers
    that ncnn computes faster in float, or in float only, stay float.
    """

    methods = ("mse", "percentile", "minmax", "entropy")
    extra = "ncnn-host"
    packages = ("ncnn",)

    def layers(self, bundle: Bundle) -> tuple[base.Layer, ...]:
        """Returns the layers; see ``edgekit.quantization.base.Quantizer.layers``."""
        structure = read_model(bundle).structure
        return tuple(
            base.Layer(layer.name, layer.kind, multiply_adds(structure, layer))
            for layer in weighted(structure)
        )

    def left_float(self, bundle: Bundle, io: str = "float") -> dict[str, str]:
        """Returns the float parts; see ``edgekit.quantization.base.Quantizer.left_float``."""
        return super().left_float(bundle, io) | floats(read_model(bundle).structure)

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """Returns the input of each layer; see ``edgekit.quantization.base.Quantizer.readings``."""
        structure = read_model(bundle).structure
        seen = load_histograms(statistics)
        origin = source(structure)
        found = {}
        for layer in weighted(structure):
            name = origin[layer.inputs[0]]
            reach = _reach(choose_range(seen[name], method))
            found[layer.name] = base.Reading(name, seen[name], -reach, reach)
        return found

    def calibrate(self, bundle: Bundle, inputs: base.Inputs, folder: Path) -> None:
        """Writes the histograms of the layers' inputs, and the integer weights."""
        self.version()  # a missing ncnn is reported before the work begins
        model = read_model(bundle)
        positive = nonnegative(model.structure)
        layers = {
            layer.name: convolution(model, layer, positive=layer.inputs[0] in positive)
            for layer in weighted(model.structure)
        }
        seen = activations(model, inputs, layers)
        integers = {name: layer.integers() for name, layer in layers.items()}
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
        model = read_model(bundle)
        layers = {layer.name for layer in weighted(model.structure)}
        base.refuse_unknown(recipe.keep_float, layers)
        seen = load_histograms(statistics)
        reach = {name: _reach(choose_range(one, recipe.method)) for name, one in seen.items()}
        integers = load_weights(statistics)
        rounded = {name: integers[name] for name in sorted(layers - recipe.keep_float)}
        files = write_model(folder, *placed(model, reach, rounded))
        return base.Written(files[0], files)


def _reach(ends: tuple[float, float]) -> float:
    """Returns the largest magnitude in a range; 1 for a tensor that is always 0."""
    return max(-ends[0], ends[1]) or 1.0
