"""Writes ONNX models with the Q/DQ pairs that TensorRT reads: symmetric, signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.errors import ConversionError
from edgekit.quantization import base
from edgekit.quantization.onnx.graph import WEIGHTED, weighted
from edgekit.quantization.onnx.quantizer import OnnxQuantizer, place
from edgekit.quantization.rounding.integer_weights import IntegerWeights
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.jetson.checker import check

__all__ = ["JetsonQuantizer"]

_SHOWN = 10


class JetsonQuantizer(OnnxQuantizer):
    """Puts pairs on the inputs and weights of convolutions, as TensorRT fuses them.

    The output of a convolution has no pair of its own: TensorRT uses that of the next layer. There
    are no zero points and biases are not rounded, because TensorRT supports neither.
    """

    def quantize(
        self,
        bundle: Bundle,
        statistics: Path,
        recipe: base.Recipe,
        folder: Path,
    ) -> base.Written:
        """Writes the model; see ``edgekit.quantization.base.Quantizer.quantize``.

        Raises:
            ConversionError: TensorRT would not accept the written model.
        """
        written = super().quantize(bundle, statistics, recipe, folder)
        findings = check(folder / written.model)
        if findings:
            shown = "\n".join(f"  {finding}" for finding in findings[:_SHOWN])
            raise ConversionError(
                f"TensorRT does not support the quantized model:\n{shown}",
                hint=f"Keep the layers named above in float: {parameter('keep_float', 'NODE')}",
            )
        return written

    def readings(self, bundle: Bundle, statistics: Path, method: str) -> dict[str, base.Reading]:
        """Returns the input of each layer, with symmetric ranges; see ``Quantizer.readings``."""
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
        import_onnxruntime()
        from onnxruntime.quantization import QuantType

        kinds = WEIGHTED
        return place(
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
