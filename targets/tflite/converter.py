"""HOST. Converter process: ``python -m edgekit.targets.tflite.converter PROGRAM MODEL PRECISION``.

litert-torch is slow to import, writes freely to the terminal and can crash its process. It
therefore runs in its own process, which ``edgekit.targets.tflite.export`` starts.
"""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path

import torch

__all__ = ["main"]

_HALVED = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED")
"""Operators whose weights may be float16, by the quantizer's names."""


def main(program: str, model: str, precision: str) -> None:
    """Converts a program that ``torch.export.save`` wrote.

    Args:
        program: Path of the program, which takes keyword arguments and returns named tensors.
        model: File to write; its signature has those names as inputs and outputs.
        precision: ``fp32``, or ``fp16`` for float16 weights.
    """
    # A tenth of the time would go into looking for garbage that goes with this process soon.
    gc.disable()
    loaded = torch.export.load(program)
    assert loaded.example_inputs is not None
    litert_torch = importlib.import_module("litert_torch")
    made = litert_torch.convert(loaded.module(), sample_kwargs=loaded.example_inputs[1])
    made.export(model)
    if precision == "fp16":
        _halve(Path(model))


def _halve(model: Path) -> None:
    package = importlib.import_module("ai_edge_quantizer")
    quantizer = package.quantizer.Quantizer(model.read_bytes())
    for name in _HALVED:
        quantizer.add_weight_only_config(
            regex=".*",
            operation_name=package.qtyping.TFLOperationName[name],
            num_bits=16,
            algorithm_key=package.algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    model.write_bytes(quantizer.quantize().quantized_model)


if __name__ == "__main__":
    main(*sys.argv[1:])
