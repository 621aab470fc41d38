"""Measures the inputs of an ncnn model's layers over samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgekit.quantization.base import Inputs
from edgekit.quantization.ncnn.graph import source, unfused
from edgekit.quantization.rounding.integer_weights import Convolution
from edgekit.quantization.rounding.ranges import Histogram, overflow_error
from edgekit.targets.ncnn.model import NcnnModel
from edgekit.targets.ncnn.network import NcnnNetwork, import_ncnn
from edgekit.targets.ncnn.structure import check_structure

__all__ = ["activations"]


def activations(
    model: NcnnModel, inputs: Inputs, layers: Mapping[str, Convolution]
) -> dict[str, Histogram]:
    """Returns histograms of the inputs of layers, and shows the inputs to their convolutions.

    Args:
        model: Float model.
        inputs: Samples to run it on.
        layers: Convolution of each layer that is examined, by the layer's name.

    Returns:
        The histograms by the name of the blob, which is never a copy of another blob.

    Raises:
        MissingDependencyError: ncnn is not installed.
        CalibrationError: A value is NaN or infinite; the message names the first layer that made
            one.
    """
    ncnn = import_ncnn("ncnn-host", "Quantizing a model")
    structure = check_structure(unfused(model.structure))
    network = NcnnNetwork(ncnn, replace(model, structure=structure), kept=True)
    origin = source(structure)
    read = {
        layer.name: origin[layer.inputs[0]] for layer in structure.layers if layer.name in layers
    }
    makers = {
        name: layer.name.partition(":")[0]
        for layer in structure.layers
        if layer.kind not in ("Input", "Split")
        for name in layer.outputs
    }
    found = {name: Histogram() for name in read.values()}
    for number, given in enumerate(inputs):
        seen = network.run(given, tuple(makers))
        for name, values in seen.items():
            if not np.isfinite(values).all():
                what = "NaN" if np.isnan(values).any() else "an infinite value"
                raise overflow_error(f"{makers[name]} gives {what}", number)
        seen |= given
        for name, histogram in found.items():
            histogram.add(seen[name])
        for name, convolved in layers.items():
            convolved.look(seen[read[name]], number)
    return found
