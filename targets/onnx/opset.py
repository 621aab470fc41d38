"""HOST. Rewrites ONNX models for converters that do not know the newest operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.files.output_paths import writing

__all__ = ["rewrite_to_opset_19"]

_OPSET = 19
_MODES = {b"linear": b"bilinear", b"cubic": b"bicubic"}
_NO_LIMIT = 1 << 31


def rewrite_to_opset_19(path: Path) -> None:
    """Rewrites a model of opset 20 as one of opset 19, with all weights precomputed.

    Raises:
        OutputError: The file cannot be written.
    """
    import onnx
    from onnxscript import optimizer

    model = onnx.load(str(path))
    # Converters need a convolution's weights stored, not reshaped by a node.
    folded: Any = optimizer.optimize(model, input_size_limit=_NO_LIMIT, output_size_limit=_NO_LIMIT)
    del folded.graph.value_info[:]
    for domain in folded.opset_import:
        domain.version = _OPSET if not domain.domain else domain.version
    for node in folded.graph.node:
        for attribute in node.attribute:
            if node.op_type == "GridSample" and attribute.name == "mode":
                attribute.s = _MODES.get(attribute.s, attribute.s)
    # The other operators that opset 20 changed only gained types; any other change fails here.
    onnx.checker.check_model(folded, full_check=True)
    with writing(path):
        path.write_bytes(folded.SerializeToString(deterministic=True))
