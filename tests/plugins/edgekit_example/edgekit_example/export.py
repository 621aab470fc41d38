"""HOST. Writes the bundles of the target ``zipped``."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.runtime.types import Array
from edgekit.targets.exporter import Exported, Exporter
from edgekit.targets.onnx.export import OnnxExporter

if TYPE_CHECKING:  # edgekit inspect imports this module on devices, which have no torch
    from torch import nn


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
