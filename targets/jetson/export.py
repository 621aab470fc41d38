"""HOST. Writes networks as ONNX files for TensorRT; equal networks give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit._parameters import parameter
from edgekit.errors import ConversionError
from edgekit.runtime.types import Array
from edgekit.targets.exporter import Exported
from edgekit.targets.jetson.checker import Finding, check
from edgekit.targets.jetson.rules import MOST_TOP_K
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.onnx.opset import rewrite_to_opset_19

if TYPE_CHECKING:
    from torch import nn

__all__ = ["OPSET", "JetsonExporter"]

OPSET = 19
"""Latest opset whose GridSample TensorRT reads correctly, and the first with DeformConv."""

_SHOWN = 10


class JetsonExporter(OnnxExporter):
    """Writes ``model.onnx``: opset 19, fixed shapes, explicit types, stored weights.

    The graph contains all steps from two frames to boxes: each frame goes to the GPU once, and only
    boxes come back. Operators that TensorRT would refuse are reported here, not on the device. The
    model is verified on ONNX Runtime, because the exporting machine may have no GPU.
    """

    precisions = ("fp32", "fp16")
    lowerings = ("grid_sample", "deform_conv", "gather")
    cascade = "graph"
    decode = "graph"
    verify_on = "onnxruntime"

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network``; see ``edgekit.targets.exporter.Exporter.export``.

        Raises:
            MissingDependencyError: onnx or onnxscript is not installed.
            ConversionError: TensorRT does not support an operator; the message names the nodes.
            OutputError: The file cannot be written.
        """
        made = super().export(network, example, folder, precision)
        path = folder / made.model
        rewrite_to_opset_19(path)
        findings = check(path)
        if findings:
            raise _refused(findings)
        return Exported(made.model, made.files, OPSET, made.converter)


def _refused(findings: list[Finding]) -> ConversionError:
    shown = "\n".join(f"  {finding}" for finding in findings[:_SHOWN])
    rest = f"\n  and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    decode_in = parameter("decode_in", "host")
    hint = (
        f"Leave that part out of the graph with {parameter('cascade_in', 'host')} or {decode_in}, "
        f"or choose another {parameter('dcn')}."
    )
    if all(finding.operator == "TopK" for finding in findings):
        hint = f"Use {parameter('top_k', MOST_TOP_K)} or less, or {decode_in}."
    return ConversionError(f"TensorRT does not support the model:\n{shown}{rest}", hint=hint)
