"""HOST. Writes networks as ONNX files; equal networks give equal bytes."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgekit
from edgekit.errors import MissingDependencyError
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.exporter import Exported, Exporter
from edgekit.targets.muted_output import muted

if TYPE_CHECKING:
    from torch import nn

__all__ = ["OPSET", "OnnxExporter"]

OPSET = 20
_MODEL = "model.onnx"
_NEWEST_IR = 10
"""Latest IR version that ONNX Runtime 1.18 reads."""


class OnnxExporter(Exporter):
    """Writes ``model.onnx``: opset 20, fixed shapes, weights inside.

    Nodes have the names of the layers they come from (``blocks.3.expand.0/Conv``), so that a
    message about a node also identifies the layer.
    """

    precisions: tuple[str, ...] = ("fp32", "fp16")

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network``; see ``edgekit.targets.exporter.Exporter.export``.

        Raises:
            MissingDependencyError: onnx or onnxscript is not installed.
            OutputError: The file cannot be written.
        """
        import torch

        del precision  # the types of the network's own weights determine it
        onnx, onnxscript = _package("onnx"), _package("onnxscript")
        tensors = tuple(torch.from_numpy(array) for array in example)
        with torch.no_grad():
            outputs = list(network(*tensors))
        names = ["input"] if len(example) == 1 else ["previous", "frame"]
        model = _traced(network, tensors, names, outputs)
        _clean(model)
        onnx.checker.check_model(model)
        with writing(folder / _MODEL):
            (folder / _MODEL).write_bytes(model.SerializeToString(deterministic=True))
        return Exported(
            model=_MODEL,
            files=(_MODEL,),
            opset=OPSET,
            converter={
                "onnx": onnx.__version__,
                "onnxscript": onnxscript.__version__,
                "torch": str(torch.__version__),
            },
        )

    def operators(self, model: Path) -> dict[str, int]:
        """Returns the number of operators of each type in a model file, the most frequent first.

        Raises:
            MissingDependencyError: onnx is not installed.
            BundleError: The file is not an ONNX model.
        """
        onnx = _package("onnx")
        try:
            loaded = onnx.load(str(model), load_external_data=False)
        except Exception as error:  # the parser's exceptions have no common base class
            raise base.not_readable(model, "ONNX", error) from error
        counts = Counter(node.op_type for node in loaded.graph.node)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _package(name: str) -> Any:
    MissingDependencyError.unless(name, "host", "Working on ONNX files")
    return importlib.import_module(name)


def _traced(
    network: nn.Module, tensors: tuple[Any, ...], inputs: list[str], outputs: list[str]
) -> Any:
    import torch

    from edgekit.models.dcn import onnx_translations

    class InOrder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.network(*values)
            return tuple(found[name] for name in outputs)

    with muted():
        program = torch.onnx.export(
            InOrder().eval(),
            tensors,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            custom_translation_table=onnx_translations(),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _clean(model: Any) -> None:
    """Removes everything from the file that depends on the machine, the date or the run."""
    model.producer_name, model.producer_version = "edgekit", edgekit.__version__
    model.ClearField("doc_string")
    model.graph.ClearField("doc_string")
    model.ir_version = min(model.ir_version, _NEWEST_IR)
    model.graph.name = "edgekit"
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    _rename(model.graph)
    for part in (
        *model.graph.node,
        *model.graph.initializer,
        *model.graph.input,
        *model.graph.output,
    ):
        part.ClearField("doc_string")
        del part.metadata_props[:]


def _rename(graph: Any) -> None:
    kept = {value.name for value in (*graph.input, *graph.output)}
    new: dict[str, str] = {"": ""} | {name: name for name in kept}
    taken = set(kept)

    def unused(name: str) -> str:
        found, count = name, 1
        while found in taken:
            count += 1
            found = f"{name}_{count}"
        taken.add(found)
        return found

    for tensor in graph.initializer:
        if tensor.name not in kept:
            new[tensor.name] = unused(_layer(tensor.name) if "." in tensor.name else "constant")
        tensor.name = new[tensor.name]
    for node in graph.node:
        scope = _scope(node)
        node.name = unused(f"{scope}/{node.op_type}" if scope else node.op_type)
        for index, name in enumerate(node.output):
            if name not in new:
                new[name] = f"{node.name}:{index}"
        node.input[:] = [new[name] for name in node.input]
        node.output[:] = [new[name] for name in node.output]


def _scope(node: Any) -> str:
    """Returns the dotted name of the layer that a node was made from."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = re.findall(r"'([^']*)'", entry.value)
            return _layer(scopes[-2]) if len(scopes) > 1 else ""
    return ""


def _layer(name: str) -> str:
    return re.sub(r"^(network\.|network$)+", "", name)
