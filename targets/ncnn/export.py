"""HOST. Writes networks in ncnn's format by pnnx; equal networks give equal bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit._parameters import parameter
from edgekit.errors import ConversionError, MissingDependencyError
from edgekit.files.output_paths import temporary_folder, writing
from edgekit.runtime.types import Array
from edgekit.system.installation import install_line
from edgekit.targets import base
from edgekit.targets.converting.process import run_converter
from edgekit.targets.exporter import Exported, Exporter
from edgekit.targets.muted_output import muted
from edgekit.targets.ncnn.model import write_model
from edgekit.targets.ncnn.param import NcnnLayer, read_param
from edgekit.targets.ncnn.rules import KINDS
from edgekit.targets.ncnn.structure import Structure, check_structure
from edgekit.targets.ncnn.weights import Arrays, read_weights

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NcnnExporter"]

_EXTRA = "ncnn-host"
_PURPOSE = "Writing a bundle for the target ncnn"
_PACKAGES = ("pnnx", "ncnn", "torch")
_INPUT = "input"
_LARGEST_HALF = 65504.0
_MADE = ("model.ncnn.param", "model.ncnn.bin")
"""Files that pnnx writes."""


class NcnnExporter(Exporter):
    """Writes ``model.param`` and ``model.bin``: one input, fixed shapes, DCNv2 as ncnn's own layer.

    At ``fp16`` the weights are float16 and the arithmetic is float32, which every processor
    supports. Layers with weights have the names of the network's layers, such as
    ``blocks.3.expand.0``.

    Attributes:
        limit: Largest duration of a conversion, in seconds.
    """

    precisions = ("fp32", "fp16")
    lowerings = ("deform_conv",)
    own_half = True
    limit: float = 3600.0

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network``; see ``edgekit.targets.exporter.Exporter.export``.

        Raises:
            MissingDependencyError: pnnx or ncnn is not installed.
            ConversionError: pnnx failed, was killed or took too long, or it wrote a layer that ncnn
                does not have or that EdgeKit cannot check. The network alone can be converted,
                without cascade and decoding.
            OutputError: A file cannot be written.
        """
        import torch

        for module in ("pnnx", "ncnn"):
            if importlib.util.find_spec(module) is None:
                raise MissingDependencyError.for_extra(module, _EXTRA, _PURPOSE)
        if len(example) != 1:
            raise _alone()
        from edgekit.targets.ncnn.tracing import trace

        with temporary_folder() as scratch, writing(scratch.parent):
            program = scratch / "model.pt"
            with muted():
                outputs = trace(network, [torch.from_numpy(example[0])], program)
            if "detections" in outputs:
                raise _alone()
            sides = ",".join(map(str, example[0].shape))
            run_converter(
                [_pnnx(), program.name, f"inputshape=[{sides}]f32", "fp16=0", "optlevel=2"],
                name="pnnx",
                folder=program.parent,
                hint=f"Install the versions that EdgeKit is tested with: {install_line(_EXTRA)}",
                makes=_MADE,
                limit=self.limit,
            )
            text, content = (program.with_name(name).read_bytes() for name in _MADE)
        structure, arrays = _checked(text, content, example[0].shape, outputs)
        names = _names(structure, arrays, network)
        layers = [dataclasses.replace(layer, name=names[layer.name]) for layer in structure.layers]
        arrays = {(names[layer], role): values for (layer, role), values in arrays.items()}
        if precision == "fp16":
            arrays = {key: _half(key, values) for key, values in arrays.items()}
        files = write_model(folder, layers, arrays)
        return Exported(
            model=files[0],
            files=files,
            opset=None,
            converter={name: version(name) for name in _PACKAGES},
        )

    def operators(self, model: Path) -> dict[str, int]:
        """Returns the number of layers of each type in a model file, the most frequent first.

        Raises:
            BundleError: The file is not in ncnn's format.
        """
        try:
            layers = read_param(model.read_bytes())
        except (OSError, ValueError) as error:
            raise base.not_readable(model, "ncnn", error) from error
        counts = Counter(layer.kind for layer in layers if layer.kind != "Input")
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _alone() -> ConversionError:
    return ConversionError(
        "A model for the target ncnn contains the network only, without cascade and decoding.",
        hint=f"Use {parameter('cascade_in', 'host')} and {parameter('decode_in', 'host')}.",
    )


def _pnnx() -> str:
    """Returns the converter's program; importing its package would load more than its path."""
    spec = importlib.util.find_spec("pnnx")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).with_name("pnnx.exe" if os.name == "nt" else "pnnx"))


def _checked(
    text: bytes, content: bytes, shape: Sequence[int], outputs: Sequence[str]
) -> tuple[Structure, Arrays]:
    """Returns what pnnx wrote; it ends without an error where it leaves an operator as it is."""
    try:
        layers = read_param(text)
        _check_kinds({layer.kind for layer in layers})
        structure = check_structure([_named(layer, shape, outputs) for layer in layers])
        if structure.inputs != (_INPUT,) or set(structure.outputs) != set(outputs):
            raise ValueError(
                f"it has the inputs {', '.join(structure.inputs)} and the outputs "
                f"{', '.join(structure.outputs)}"
            )
        return structure, read_weights(structure.weights, content)
    except ValueError as error:
        raise ConversionError(
            f"pnnx {version('pnnx')} wrote a model that EdgeKit cannot use: {error}.",
            hint=f"Export for another target, for example {parameter('target', 'onnx')}.",
        ) from error


def _check_kinds(kinds: set[str]) -> None:
    import ncnn

    missing = sorted(kind for kind in kinds if ncnn.layer_to_index(kind) < 0)
    unknown = sorted(kind for kind in kinds - KINDS.keys() if kind not in missing)
    if missing or unknown:
        what = (
            f"ncnn {ncnn.__version__} does not have" if missing else "EdgeKit cannot check in ncnn"
        )
        raise ConversionError(
            f"The network needs layers that {what}: {', '.join(missing or unknown)}.",
            hint=f"Export for another target, for example {parameter('target', 'onnx')}.",
        )


def _named(layer: NcnnLayer, shape: Sequence[int], outputs: Sequence[str]) -> NcnnLayer:
    """Returns a layer with our names of inputs and outputs; an Input also with its size."""
    names = {f"out{place}": name for place, name in enumerate(outputs)} | {"in0": _INPUT}
    values = layer.values
    if layer.kind == "Input":
        _, channels, height, width = shape
        values = {0: width, 1: height, 2: channels}
    return NcnnLayer(
        layer.kind,
        layer.name,
        tuple(names.get(name, name) for name in layer.inputs),
        tuple(names.get(name, name) for name in layer.outputs),
        values,
    )


def _names(structure: Structure, arrays: Arrays, network: nn.Module) -> dict[str, str]:
    """Returns the network's names of the layers by pnnx's, which only number them.

    A layer is recognized by its weights. ncnn has those of transposed convolutions in another
    order, so they are compared sorted. Layers without weights keep pnnx's names.
    """
    known: dict[bytes, list[str]] = {}
    for name, values in network.state_dict().items():
        if name.endswith(".weight"):
            path = name.removesuffix(".weight").removeprefix("network.")
            known.setdefault(_digest(values.numpy()), []).append(path)
    found = {layer.name: layer.name for layer in structure.layers}
    for layer in structure.layers:
        if (layer.name, "weight") in arrays:
            same = known.get(_digest(arrays[layer.name, "weight"]), [])
            if len(same) == 1 and same[0] not in found.values():
                found[layer.name] = same[0]
    return found


def _digest(values: Array) -> bytes:
    return hashlib.sha256(np.sort(values, axis=None).astype("<f4").tobytes()).digest()


def _half(key: tuple[str, str], values: Array) -> Array:
    """Returns weights as float16; biases and other arrays are always float32."""
    layer, role = key
    if role != "weight":
        return values
    if np.abs(values).max(initial=0) > _LARGEST_HALF:
        raise ConversionError(
            f"The weights of {layer} are too large for float16.",
            hint=f"Use {parameter('precision', 'fp32')}.",
        )
    return values.astype("<f2")
