"""Writes ONNX models with the Q/DQ pairs that Qualcomm's neural processors take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.bundle import Bundle
from edgekit.quantization import base
from edgekit.quantization.onnx.graph import weighted
from edgekit.quantization.onnx.quantizer import OnnxQuantizer, place_asymmetric
from edgekit.quantization.rounding.integer_weights import IntegerWeights
from edgekit.targets.qnn.export import compile_context
from edgekit.targets.qnn.provider import CONTEXT

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["QnnQuantizer"]


class QnnQuantizer(OnnxQuantizer):
    """Places the pairs of ``OnnxQuantizer`` and compiles the model for the bundle's chip.

    The last layers stay float, because HTP has no integer convolution with a float result: it
    computes them in float16. The loss is measured on ONNX Runtime, which computes the same pairs a
    thousand times faster than the emulator.
    """

    source = "fp16"
    evaluated_on = "onnxruntime"
    extra = "qnn"
    packages = (*OnnxQuantizer.packages, "onnxruntime-qnn")

    def quantize(
        self, bundle: Bundle, statistics: Path, recipe: base.Recipe, folder: Path
    ) -> base.Written:
        """Writes the model; see ``edgekit.quantization.base.Quantizer.quantize``.

        Raises:
            ConversionError: The neural processor does not support a node of the written model.
        """
        written = super().quantize(bundle, statistics, recipe, folder)
        assert isinstance(bundle.manifest.chip, str)
        compile_context(folder / written.model, bundle.manifest.chip, rounded=True)
        return base.Written(written.model, (*written.files, CONTEXT))

    def _layers(self, model: ModelProto) -> list[NodeProto]:
        return weighted(model)

    def _placed(
        self,
        model: ModelProto,
        ranges: dict[str, tuple[float, float]],
        weights: dict[str, IntegerWeights],
        keep_float: frozenset[str],
    ) -> ModelProto:
        return place_asymmetric(model, ranges, weights, keep_float)
