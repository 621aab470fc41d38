"""HOST. Writes networks as ONNX files for TensorRT; equal networks give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit._parameters import parameter
from edgekit.errors import ConversionError
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.targets.exporter import Exported
from edgekit.targets.jetson.checker import Finding, check
from edgekit.targets.jetson.rules import MOST_TOP_K
from edgekit.targets.onnx.export import OnnxExporter

if TYPE_CHECKING:
    from torch import nn

__all__ = ["OPSET", "JetsonExporter"]

OPSET = 19
"""Latest opset whose GridSample TensorRT reads correctly, and the first with DeformConv."""

_MODES = {b"linear": b"bilinear", b"cubic": b"bicubic"}
_SHOWN = 10
_NO_LIMIT = 1 << 31


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
        _adapt(path)
        findings = check(path)
        if findings:
            raise _refused(findings)
        return Exported(made.model, made.files, OPSET, made.converter)


def _adapt(path: Path) -> None:
    """Rewrites a model of opset 20 as one of opset 19, with all weights precomputed."""
    import onnx
    from onnxscript import optimizer

    model = onnx.load(str(path))
    # TensorRT needs a convolution's weights stored, not reshaped by a node.
    folded: Any = optimizer.optimize(model, input_size_limit=_NO_LIMIT, output_size_limit=_NO_LIMIT)
    del folded.graph.value_info[:]
    for domain in folded.opset_import:
        domain.version = OPSET if not domain.domain else domain.version
    for node in folded.graph.node:
        for attribute in node.attribute:
            if node.op_type == "GridSample" and attribute.name == "mode":
                attribute.s = _MODES.get(attribute.s, attribute.s)
    # The other operators that opset 20 changed only gained types; any other change fails here.
    onnx.checker.check_model(folded, full_check=True)
    with writing(path):
        path.write_bytes(folded.SerializeToString(deterministic=True))


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
