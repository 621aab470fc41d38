"""HOST. Compiler process: ``python -m edgekit.targets.qnn.compiler MODEL CONTEXT CHIP``.

In a process of its own, Qualcomm's compiler gives the same bytes each time; the second compilation
in one process does not. It also writes to the terminal, and can crash its process.
"""

from __future__ import annotations

import sys

from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.qnn.chips import CHIPS
from edgekit.targets.qnn.provider import add_provider

__all__ = ["main"]


def main(model: str, context: str, chip: str) -> None:
    """Compiles an ONNX model.

    Args:
        model: ONNX file.
        context: File to write: an ONNX model of one node that holds what was compiled, and the
            nodes that the chip's neural processor does not support.
        chip: Name in ``CHIPS``.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    for entry in ("ep.context_enable", "ep.context_embed_mode"):
        options.add_session_config_entry(entry, "1")
    options.add_session_config_entry("ep.context_file_path", context)
    add_provider(options, CHIPS[chip])
    onnxruntime.InferenceSession(model, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
