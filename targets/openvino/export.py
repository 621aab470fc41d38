"""HOST. Networks as OpenVINO's IR, byte for byte the same for the same network."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from edgekit._files import writing
from edgekit.errors import BundleError, ConversionError
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.onnx.export import Exporter as OnnxExporter
from edgekit.targets.openvino.ir import MODEL, WEIGHTS, clean, save
from edgekit.targets.openvino.quiet import import_openvino, openvino_reason

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Exporter"]

_NO_OPERATORS = ("Const", "Parameter", "Result")


class Exporter(base.Exporter):
    """Writes ``model.xml`` and ``model.bin``: fixed shapes, deformable convolutions native.

    At ``fp16`` the network is written in float16 as it stands and not as float32 with compressed
    weights: what must stay float32, such as a cascade in the graph, then does.

    Operators carry the names of the layers they come from, as in the target ``onnx``, with
    OpenVINO's own endings: ``blocks.3.expand.0/Conv/WithoutBiases`` is a convolution, and
    ``blocks.3.expand.0/Conv`` the sum with its bias.
    """

    precisions = ("fp32", "fp16")

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> base.Exported:
        """Writes ``network``; see ``edgekit.targets.base.Exporter.export``."""
        openvino = import_openvino("Writing a bundle for the target openvino")
        with (
            writing(Path(tempfile.gettempdir())),
            tempfile.TemporaryDirectory() as temporary,
        ):
            first = OnnxExporter().export(network, example, Path(temporary), precision)
            model = _converted(openvino, Path(temporary, first.model))
        clean(model)
        with writing(folder / MODEL):
            save(openvino, model, folder)
        return base.Exported(
            model=MODEL,
            files=(MODEL, WEIGHTS),
            opset=int(_root(folder / MODEL).get("version", 0)),
            converter={**first.converter, "openvino": version("openvino")},
        )

    def operators(self, model: Path) -> dict[str, int]:
        """How many operators of each type are in a model file, the most frequent first.

        Raises:
            BundleError: The file is no IR.
        """
        types = (layer.get("type", "") for layer in _root(model).iterfind("layers/layer"))
        counts = Counter(name for name in types if name not in _NO_OPERATORS)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _converted(openvino: Any, path: Path) -> Any:
    from openvino.frontend.onnx import ConversionExtension

    extension = ConversionExtension("DeformConv", _deform_conv)
    try:
        return openvino.convert_model(path, extension=[extension])
    except Exception as error:  # its exceptions have no base of their own
        failed = re.findall(r"(?:failed for|rule found for operations): (.+)", str(error))
        if failed:
            names = re.sub(r"-\d+\b", "", ", ".join(failed))
            raise ConversionError(
                f"OpenVINO {version('openvino')} cannot take the operator {names}.",
                mend="Choose others that compute the same: --dcn grid_sample, --cascade-in host, "
                "--decode-in host.",
            ) from error
        raise ConversionError(
            f"OpenVINO {version('openvino')} failed to convert the network: "
            f"{openvino_reason(error)}",
            mend="Write another target, for example --target onnx.",
        ) from error


def _deform_conv(node: Any) -> Any:
    """DCNv2 as OpenVINO's own operator, which has no bias; its reader of ONNX lacks the operator.

    Without ``bilinear_interpolation_pad`` it would read what lies just outside the picture as the
    pixel on its border.
    """
    from openvino import opset8

    x, weight, offset, bias, mask = (node.get_input(index) for index in range(5))
    one = [1, 1]
    result = opset8.deformable_convolution(
        x, offset, weight, one, one, one, one, mask=mask, bilinear_interpolation_pad=True
    )
    shape = opset8.constant(np.array([1, -1, 1, 1]))
    return opset8.add(result, opset8.reshape(bias, shape, special_zero=False)).outputs()


def _root(model: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(model).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise BundleError(
            f"{model} is not a model in OpenVINO's IR: {error}.",
            mend="Export it again: edgekit export CHECKPOINT --target openvino",
        ) from error
