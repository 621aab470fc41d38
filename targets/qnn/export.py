"""HOST. Compiles networks for Qualcomm's neural processors; equal networks give equal bytes."""

from __future__ import annotations

import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit._parameters import parameter
from edgekit.errors import ConversionError
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.system.installation import install_line
from edgekit.targets.converting.process import own_module, run_converter
from edgekit.targets.exporter import Exported
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.qnn.chips import CHIPS
from edgekit.targets.qnn.provider import CONTEXT, provider

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PACKAGE", "QnnExporter", "compile_context"]

PACKAGE = "onnxruntime-qnn"
_COMPILED = "EPContext"
_ROUNDING = ("QuantizeLinear", "DequantizeLinear")
_SHOWN = 10


class QnnExporter(OnnxExporter):
    """Writes ``model.onnx``, and ``context.onnx`` with what was compiled from it for one chip.

    ``model.onnx`` has float32 weights: it is what ``edgekit quantize`` reads, and runs on any CPU.
    The neural processor computes in float16.
    """

    precisions = ("fp16",)
    lowerings = ("grid_sample", "gather")
    chips = tuple(CHIPS)
    own_half = True

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network``; see ``edgekit.targets.exporter.Exporter.export``.

        Raises:
            MissingDependencyError: onnx, onnxscript or onnxruntime-qnn is not installed.
            ConversionError: The neural processor does not support a node; the message names it.
            OutputError: A file cannot be written.
        """
        provider()
        made = super().export(network, example, folder, precision)
        compile_context(folder / made.model, self.chip)
        files = (*made.files, CONTEXT)
        converter = {**made.converter, PACKAGE: metadata.version(PACKAGE)}
        return Exported(made.model, files, made.opset, converter)


def compile_context(model: Path, chip: str, *, rounded: bool = False) -> None:
    """Compiles an ONNX model into ``context.onnx`` beside it.

    Args:
        model: ONNX file.
        chip: Name in ``CHIPS``.
        rounded: Whether the model is INT8: the CPU may then round inputs and outputs.

    Raises:
        ConversionError: The compiler failed or wrote nothing, or the neural processor does not
            support a node.
        OutputError: A file cannot be written.
    """
    import onnx

    with writing(model.parent), tempfile.TemporaryDirectory() as scratch:
        # The names of the files are part of what is compiled: they are always the same.
        shutil.copyfile(model, Path(scratch) / model.name)
        run_converter(
            own_module("edgekit.targets.qnn.compiler", model.name, CONTEXT, chip),
            name="Qualcomm's compiler",
            folder=Path(scratch),
            hint=f"Install the versions that EdgeKit is tested with: {install_line('host', 'qnn')}",
        )
        made = Path(scratch) / CONTEXT
        if not made.is_file():
            raise ConversionError(
                f"Qualcomm's compiler ended without an error and without a model for {chip}.",
                hint="Run the export again with -v to see its output.",
            )
        nodes = onnx.load(str(made)).graph.node
        left = [
            f"{node.name} ({node.op_type})"
            for node in nodes
            if node.op_type not in (_COMPILED, *(_ROUNDING if rounded else ()))
        ]
        if left or not any(node.op_type == _COMPILED for node in nodes):
            raise _refused(chip, left)
        shutil.copyfile(made, model.with_name(CONTEXT))


def _refused(chip: str, left: list[str]) -> ConversionError:
    shown = "\n".join(f"  {node}" for node in left[:_SHOWN])
    rest = f"\n  and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    return ConversionError(
        f"The neural processor of {chip} does not support these nodes:\n{shown}{rest}",
        hint=f"Choose another {parameter('dcn')} ({', '.join(QnnExporter.lowerings)}), and keep "
        f"the cascade and the decoding outside the model: {parameter('cascade_in', 'host')} and "
        f"{parameter('decode_in', 'host')}.",
    )
