"""HOST. Writes the bundles of the target ``zipped``."""

import dataclasses
import gzip
from pathlib import Path

from torch import nn

from edgekit.runtime.types import Array
from edgekit.targets.base import Exported, Exporter
from edgekit.targets.onnx.export import OnnxExporter


class ZippedExporter(Exporter):
    """Writes ``model.onnx.gz``."""

    precisions = ("fp32", "fp16")

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        made = OnnxExporter().export(network, example, folder, precision)
        model = folder / made.model
        packed = folder / "model.onnx.gz"
        packed.write_bytes(gzip.compress(model.read_bytes(), mtime=0))
        model.unlink()
        return dataclasses.replace(made, model=packed.name, files=(packed.name,))
