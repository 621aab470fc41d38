"""HOST. Writes networks as TFLite files of builtin operators; equal networks give equal bytes."""

from __future__ import annotations

import importlib
import importlib.util
import io
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit._parameters import parameter
from edgekit.errors import ConversionError, MissingDependencyError
from edgekit.files.output_paths import writing
from edgekit.runtime.types import Array
from edgekit.system.installation import install_line
from edgekit.targets import base
from edgekit.targets.converting.process import own_module, run_converter
from edgekit.targets.exporter import Exported, Exporter

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TfliteExporter"]

_MODEL = "model.tflite"
_EXTRA = "tflite-host"
_PACKAGES = {"litert_torch": "litert-torch", "ai_edge_quantizer": "ai-edge-quantizer"}


class TfliteExporter(Exporter):
    """Writes ``model.tflite``: fixed shapes, NCHW, one signature that names inputs and outputs.

    At ``fp16`` the weights are float16 and the arithmetic is float32, which every TFLite runtime
    supports.

    Attributes:
        limit: Largest duration of a conversion, in seconds.
    """

    precisions = ("fp32", "fp16")
    lowerings = ("gather",)
    own_half = True
    limit: float = 3600.0

    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network``; see ``edgekit.targets.exporter.Exporter.export``.

        Raises:
            MissingDependencyError: litert-torch or ai-edge-quantizer is not installed.
            ConversionError: litert-torch failed, was killed or took too long, or it wrote an
                operator that is not built into TFLite runtimes.
            OutputError: The file cannot be written.
        """
        import torch

        from edgekit.targets.tflite.network import Named, prepared

        for module in _PACKAGES:
            if importlib.util.find_spec(module) is None:
                raise _missing(module)
        names = ["input"] if len(example) == 1 else ["previous", "frame"]
        tensors = dict(zip(names, map(torch.from_numpy, example), strict=True))
        model = (folder / _MODEL).resolve()
        with writing(model), tempfile.TemporaryDirectory() as scratch:
            program = Path(scratch) / "program.pt2"
            with torch.no_grad():
                traced = torch.export.export(Named(prepared(network)).eval(), (), tensors)
            content = io.BytesIO()
            torch.export.save(traced, content)
            # torch ends the process if it cannot write a file itself.
            program.write_bytes(content.getbuffer())
            run_converter(
                own_module("edgekit.targets.tflite.converter", str(program), str(model), precision),
                name="litert-torch",
                folder=Path(scratch),
                hint=f"Install the versions that EdgeKit is tested with: {install_line(_EXTRA)}",
                limit=self.limit,
                environment={"LITERT_TORCH_SHOW_PROGRESS": "n"},
            )
        _check_operators(self.operators(model))
        packages = (*_PACKAGES.values(), "torch")
        return Exported(
            model=_MODEL,
            files=(_MODEL,),
            opset=None,
            converter={name: version(name) for name in packages},
        )

    def operators(self, model: Path) -> dict[str, int]:
        """Returns the number of operators of each type in a model file, the most frequent first.

        Raises:
            MissingDependencyError: ai-edge-litert, which comes with the converter, is not
                installed.
            BundleError: The file is not a TFLite model.
        """
        try:
            schema = importlib.import_module("ai_edge_litert.schema_py_generated")
        except ImportError as error:
            raise _missing("ai_edge_litert") from error
        try:
            counts = _counted(schema, model.read_bytes())
        except Exception as error:  # an offset leads out of the file
            raise base.not_readable(model, "TFLite", error) from error
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _missing(module: str) -> MissingDependencyError:
    return MissingDependencyError.for_extra(module, _EXTRA, "Working on TFLite files")


def _check_operators(counts: dict[str, int]) -> None:
    foreign = [name for name in counts if name.startswith(("CUSTOM", "STABLEHLO"))]
    if foreign:
        raise ConversionError(
            "Expected operators that every TFLite runtime has; litert-torch wrote "
            f"{', '.join(foreign)}.",
            hint="Keep the decoding and the cascade outside the model: "
            f"{parameter('decode_in', 'host')} and {parameter('cascade_in', 'host')}",
        )


def _counted(schema: Any, content: bytes) -> Counter[str]:
    """Returns the number of operators of each type in a model."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    model = schema.Model.GetRootAs(content)
    types = []
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        custom = code.CustomCode()
        # The deprecated field cannot exceed 127.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        types.append(f"CUSTOM {custom.decode()}" if custom else names[builtin])
    counts: Counter[str] = Counter()
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        places = range(graph.OperatorsLength())
        counts.update(types[graph.Operators(place).OpcodeIndex()] for place in places)
    return counts
