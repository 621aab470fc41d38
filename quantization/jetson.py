"""HOST. ONNX models with the Q/DQ pairs that TensorRT reads: symmetric, of signed integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.bundle import Bundle
from edgekit.errors import ConversionError
from edgekit.quantization import base
from edgekit.quantization import onnx as onnx_quantizer
from edgekit.quantization.convolutions import IntegerWeights
from edgekit.quantization.onnx_graph import WEIGHTED, weighted
from edgekit.targets.jetson.checker import check

__all__ = ["Quantizer"]

_SHOWN = 10


class Quantizer(onnx_quantizer.Quantizer):
    """Pairs on what convolutions read and on their weights, as TensorRT fuses them.

    What a convolution gives has no pair of its own: TensorRT takes the next layer's. Nothing has
    a zero point and no bias is rounded, since TensorRT reads neither.
    """

    def quantize(
        self,
        bundle: Bundle,
        statistics: Path,
        recipe: base.Recipe,
        folder: Path,
    ) -> base.Written:
        """See ``edgekit.quantization.base.Quantizer.quantize``.

        Raises:
            ConversionError: TensorRT would not read what was written.
        """
        written = super().quantize(bundle, statistics, recipe, folder)
        findings = check(folder / written.model)
        if findings:
            shown = "\n".join(f"  {finding}" for finding in findings[:_SHOWN])
            raise ConversionError(
                f"TensorRT does not take the quantized model:\n{shown}",
                mend="Leave the layers float that are named: --keep-float NODE",
            )
        return written

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """See ``edgekit.quantization.base.Quantizer.readings``; of ranges the larger side."""
        found = super().readings(bundle, statistics, method)
        sides = {name: max(-reading.low, reading.high) for name, reading in found.items()}
        return {
            name: replace(reading, low=-sides[name], high=sides[name])
            for name, reading in found.items()
        }

    def _layers(self, model: Any) -> list[Any]:
        return weighted(model)

    def _placed(
        self,
        model: Any,
        ranges: dict[str, tuple[float, float]],
        weights: dict[str, IntegerWeights],
        keep_float: frozenset[str],
    ) -> Any:
        from onnxruntime.quantization import QuantType

        kinds = WEIGHTED
        return onnx_quantizer.place(
            model,
            ranges,
            weights,
            [n.name for n in weighted(model) if n.name not in keep_float],
            kinds=kinds,
            activation=QuantType.QInt8,
            options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": list(kinds),
            },
        )
