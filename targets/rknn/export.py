"""HOST. Writes networks for Rockchip's neural processors; equal networks give equal bytes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit._parameters import parameter
from edgekit.errors import ConversionError
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.targets.converting.process import own_module, run_converter
from edgekit.targets.exporter import Exported
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.onnx.opset import rewrite_to_opset_19
from edgekit.targets.rknn.chips import CHIPS
from edgekit.targets.rknn.environment import TOOLKIT, environment, installed_version, variables

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODEL", "RANGES", "SOURCE", "RknnExporter", "convert", "write_ranges"]

MODEL = "model.rknn"
SOURCE = "model.onnx"
"""File of a bundle with the network in float32, for the simulator and ``edgekit quantize``."""

RANGES = "ranges.json"
"""File of an INT8 bundle with the range of each tensor, for the simulator."""

_OPSET = 19
_MAGIC = b"RKNN"
_UNSUPPORTED = ("DeformConv", "TopK", "GatherND", "ScatterND", "NonZero")


class RknnExporter(OnnxExporter):
    """Writes ``model.rknn`` for one chip, and ``model.onnx``, which it was made from.

    The neural processor computes in float16. The model is verified on Rockchip's simulator.
    """

    precisions = ("fp16",)
    lowerings = ("grid_sample", "gather")
    chips = CHIPS
    own_half = True
    verify_on = "rknn-simulator"

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network``; see ``edgekit.targets.exporter.Exporter.export``.

        Raises:
            MissingDependencyError: onnx or onnxscript is not installed, or the environment of the
                toolkit was not made.
            ConversionError: The toolkit failed, or the chip does not support an operator.
            OutputError: A file cannot be written.
        """
        environment()
        super().export(network, example, folder, precision)
        rewrite_to_opset_19(folder / SOURCE)
        counts = super().operators(folder / SOURCE)
        refused = [name for name in _UNSUPPORTED if name in counts]
        if refused or len(example) != 1:
            what = ", ".join(refused) or "8-bit pictures as input"
            raise ConversionError(
                f"Rockchip's neural processors do not support {what}.",
                hint=f"Use {parameter('dcn', self.lowerings[0])}, {parameter('decode_in', 'host')} "
                f"and {parameter('cascade_in', 'host')}.",
            )
        convert(folder / SOURCE, folder / MODEL, self.chip)
        version = installed_version()
        assert version is not None
        return Exported(MODEL, (MODEL, SOURCE), _OPSET, {"torch": _torch(), TOOLKIT: version})

    def operators(self, model: Path) -> dict[str, int]:
        """Returns the number of operators of each type in the ONNX file beside a model."""
        return super().operators(model.with_name(SOURCE))


def convert(source: Path, out: Path, chip: str, ranges: Path | None = None) -> None:
    """Converts an ONNX file for a chip.

    Args:
        source: ONNX file of opset 19.
        out: File to write.
        chip: Name in ``CHIPS``.
        ranges: File that ``write_ranges`` wrote, for an INT8 model.

    Raises:
        MissingDependencyError: The environment of the toolkit was not made.
        ConversionError: The toolkit failed or wrote no model.
        OutputError: The file cannot be written.
    """
    with writing(out), tempfile.TemporaryDirectory() as scratch:
        # The names of the files are part of the result: they are always the same.
        shutil.copyfile(source, Path(scratch) / SOURCE)
        arguments = ["convert", SOURCE, MODEL, chip]
        if ranges is not None:
            shutil.copyfile(ranges, Path(scratch) / RANGES)
            arguments.append(RANGES)
        run_converter(
            own_module("edgekit.targets.rknn.toolkit", *arguments),
            name=f"Rockchip's {TOOLKIT}",
            folder=Path(scratch),
            hint=f"Choose another {parameter('dcn')}, or run with -v for all that it says.",
            environment=variables(),
        )
        made = Path(scratch) / MODEL
        if not made.is_file() or made.read_bytes()[: len(_MAGIC)] != _MAGIC:
            raise ConversionError(
                f"Rockchip's {TOOLKIT} ended without an error and without a model for {chip}.",
                hint="Run the export again with -v to see its output.",
            )
        shutil.copyfile(made, out)


def write_ranges(
    path: Path,
    ranges: Mapping[str, tuple[float, float]],
    float_tensors: Collection[str],
    input_shape: tuple[int, ...],
) -> None:
    """Writes the settings of an INT8 model.

    Args:
        path: File to write.
        ranges: Lowest and highest value of each tensor of the ONNX file.
        float_tensors: Names of the tensors that stay float16.
        input_shape: Shape of the network's input.
    """
    content = {"input_shape": input_shape, "ranges": ranges, "float": sorted(float_tensors)}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _torch() -> str:
    import torch

    return str(torch.__version__)
