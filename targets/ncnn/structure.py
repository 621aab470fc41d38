"""DEVICE. Checks a network in ncnn's format: sizes of all blobs and weights, before ncnn loads it.

ncnn trusts the parameters of a layer: if they contradict its input, it reads and writes outside its
memory. Each type of layer that EdgeKit loads therefore has a rule (``edgekit.targets.ncnn.rules``).
A rule knows which parameters the layer takes, the sizes of its outputs and the number of its
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.rules import KINDS
from edgekit.targets.ncnn.sizes import MOST_SIDE, Blob, RuleResult, WeightArray

__all__ = ["Structure", "check_structure", "multiply_adds"]

_MOST_VALUES = 1 << 28

_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "DeformableConv2D")
_TRANSPOSED = ("Deconvolution", "DeconvolutionDepthWise")


@dataclass(frozen=True, slots=True)
class Structure:
    """A network that was checked.

    Attributes:
        layers: Layers in the order of computation.
        blobs: Size of each blob by its name.
        weights: Arrays in the file ``.bin``, in order.
    """

    layers: tuple[NcnnLayer, ...]
    blobs: Mapping[str, Blob]
    weights: tuple[WeightArray, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs."""
        return tuple(layer.outputs[0] for layer in self.layers if layer.kind == "Input")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: the blobs that no layer reads."""
        read = {name for layer in self.layers for name in layer.inputs}
        return tuple(name for name in self.blobs if name not in read)


def check_structure(layers: Sequence[NcnnLayer]) -> Structure:
    """Returns the sizes of a network's blobs and weights.

    Raises:
        ValueError: A layer has an unknown type, an impossible parameter or an input of the wrong
            size; the message names the layer.
    """
    blobs: dict[str, Blob] = {}
    free: set[str] = set()
    names: set[str] = set()
    weights: list[WeightArray] = []
    for layer in layers:
        try:
            found = _checked(layer, blobs, free, names)
        except ValueError as error:
            raise ValueError(f"layer {layer.name} ({layer.kind}): {error}") from error
        names.add(layer.name)
        free.difference_update(layer.inputs)
        free.update(layer.outputs)
        blobs.update(zip(layer.outputs, found.outputs, strict=True))
        weights.extend(found.weights)
    return Structure(tuple(layers), blobs, tuple(weights))


def multiply_adds(structure: Structure, layer: NcnnLayer) -> int:
    """Returns the number of multiply-adds of a convolution; 0 for other layers."""
    if layer.kind not in (*_CONVOLUTIONS, *_TRANSPOSED):
        return 0
    (place, *_) = layer.inputs if layer.kind in _TRANSPOSED else layer.outputs
    return layer.whole(6) * structure.blobs[place].height * structure.blobs[place].width


def _checked(
    layer: NcnnLayer, blobs: Mapping[str, Blob], free: set[str], names: set[str]
) -> RuleResult:
    if layer.kind not in KINDS:
        raise ValueError("EdgeKit does not know this type of layer")
    rule, keys = KINDS[layer.kind]
    unknown = sorted(set(layer.values) - keys)
    if unknown:
        raise ValueError(f"parameter {unknown[0]} is unknown")
    if layer.name in names:
        raise ValueError("another layer has the same name")
    if len(set(layer.inputs)) != len(layer.inputs) or not free.issuperset(layer.inputs):
        raise ValueError("an input is not the unused output of an earlier layer")
    if len(set(layer.outputs)) != len(layer.outputs) or not blobs.keys().isdisjoint(layer.outputs):
        raise ValueError("an output has the name of another blob")
    found = rule(layer, [blobs[name] for name in layer.inputs])
    if len(found.outputs) != len(layer.outputs):
        raise ValueError(f"expected {len(found.outputs)} outputs; found {len(layer.outputs)}")
    for blob in found.outputs:
        if not all(1 <= side <= MOST_SIDE for side in blob[:3]) or blob.values > _MOST_VALUES:
            raise ValueError(f"an output would be {blob.channels}x{blob.height}x{blob.width}")
    return found
