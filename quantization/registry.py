"""The quantizers by target; imported only when one is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.quantization.base import Quantizer

__all__ = ["QUANTIZERS", "quantizer"]

QUANTIZERS = {
    "onnx": "edgekit.quantization.onnx",
    "openvino": "edgekit.quantization.openvino",
    "tflite": "edgekit.quantization.tflite",
    "jetson": "edgekit.quantization.jetson",
}
"""Name of a target, and the module that holds its ``Quantizer``."""


def quantizer(target: str) -> Quantizer:
    """What quantizes bundles of a target.

    Raises:
        UsageError: The target has none.
    """
    if target not in QUANTIZERS:
        raise UsageError(
            f"Bundles for {', '.join(QUANTIZERS)} can be quantized, not those for {target!r}."
        )
    return cast("Quantizer", importlib.import_module(QUANTIZERS[target]).Quantizer())
