"""HOST. Networks as the ONNX files that TensorRT takes, byte for byte the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit._files import writing
from edgekit.errors import ConversionError
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.jetson.checker import Finding, check
from edgekit.targets.jetson.rules import MOST_TOP_K
from edgekit.targets.onnx import export as onnx_export

if TYPE_CHECKING:
    from torch import nn

__all__ = ["OPSET", "Exporter"]

OPSET = 19
"""The last one whose GridSample TensorRT reads right, and the first that has DeformConv."""

_MODES = {b"linear": b"bilinear", b"cubic": b"bicubic"}
_SHOWN = 10
_NO_LIMIT = 1 << 31


class Exporter(onnx_export.Exporter):
    """Writes ``model.onnx``: opset 19, fixed shapes, every type said, weights stored.

    The whole way from two frames to boxes is in the graph, so that a frame goes to the GPU once
    and only boxes come back. What TensorRT would not take is told here, not on the device; the
    model is verified on ONNX Runtime, for there need be no GPU where it is made.
    """

    precisions = ("fp32", "fp16")
    lowerings = ("grid_sample", "deform_conv", "gather")
    cascade = "graph"
    decode = "graph"
    verify_on = "onnxruntime"

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> base.Exported:
        """Writes ``network``; see ``edgekit.targets.base.Exporter.export``.

        Raises:
            MissingDependencyError: onnx or onnxscript is not installed.
            ConversionError: TensorRT does not take an operator; names the nodes.
            OutputError: The file cannot be written.
        """
        made = super().export(network, example, folder, precision)
        path = folder / made.model
        _adapt(path)
        findings = check(path)
        if findings:
            raise _refused(findings)
        return base.Exported(made.model, made.files, OPSET, made.converter)


def _adapt(path: Path) -> None:
    """Rewrites a model of opset 20 as one of opset 19, with nothing left to compute in weights."""
    import onnx
    from onnxscript import optimizer

    model = onnx.load(str(path))
    # TensorRT wants a convolution's weights as they are, not as a node that reshapes them.
    folded: Any = optimizer.optimize(model, input_size_limit=_NO_LIMIT, output_size_limit=_NO_LIMIT)
    del folded.graph.value_info[:]
    for domain in folded.opset_import:
        domain.version = OPSET if not domain.domain else domain.version
    for node in folded.graph.node:
        for attribute in node.attribute:
            if node.op_type == "GridSample" and attribute.name == "mode":
                attribute.s = _MODES.get(attribute.s, attribute.s)
    # Of the operators that opset 20 changed, the rest only gained types: this tells any other.
    onnx.checker.check_model(folded, full_check=True)
    with writing(path):
        path.write_bytes(folded.SerializeToString(deterministic=True))


def _refused(findings: list[Finding]) -> ConversionError:
    shown = "\n".join(f"  {finding}" for finding in findings[:_SHOWN])
    rest = f"\n  and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    mend = "Leave that part out of the graph: --cascade-in host, --decode-in host; or choose --dcn."
    if all(finding.operator == "TopK" for finding in findings):
        mend = f"Use --top-k {MOST_TOP_K} or less, or --decode-in host."
    return ConversionError(f"TensorRT does not take the model:\n{shown}{rest}", mend=mend)
