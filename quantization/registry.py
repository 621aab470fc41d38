"""Quantizers by target; each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.quantization.base import Quantizer

__all__ = ["QUANTIZERS", "quantizer"]

QUANTIZERS = {
    "onnx": "edgekit.quantization.onnx.quantizer",
    "openvino": "edgekit.quantization.openvino.quantizer",
    "tflite": "edgekit.quantization.tflite.quantizer",
    "jetson": "edgekit.quantization.jetson",
}
"""Modules that contain each ``Quantizer``, by target name."""


def quantizer(target: str) -> Quantizer:
    """Returns the quantizer of a target.

    Raises:
        UsageError: The target has no quantizer.
    """
    if target not in QUANTIZERS:
        raise UsageError(
            f"Bundles for {', '.join(QUANTIZERS)} can be quantized, not those for {target!r}."
        )
    return cast("Quantizer", importlib.import_module(QUANTIZERS[target]).Quantizer())
