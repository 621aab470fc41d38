"""Unpacks a TFLite file to tables that can be changed, and packs them again."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from edgekit.errors import MissingDependencyError
from edgekit.targets.muted_output import muted

__all__ = ["kinds_of", "pack", "package", "schema", "unpack"]


def unpack(content: bytes) -> Any:
    """Returns a file as a ``ModelT`` of the schema, which has all constants in its buffers."""
    model = schema().ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # stored behind the tables
            stored = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data, buffer.offset, buffer.size = np.frombuffer(stored, np.uint8), 0, 0
    return model


def pack(model: Any) -> bytes:
    """Returns the content of the file of a ``ModelT``."""
    builder = package("flatbuffers").Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def kinds_of(model: Any) -> list[str]:
    """Returns the kind of operator, such as ``CONV_2D``, of each operator code."""
    kinds = {code: name for name, code in vars(schema().BuiltinOperator).items()}
    # The deprecated field cannot exceed 127; old files have no other.
    return [
        kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes
    ]


def schema() -> ModuleType:
    """Returns the classes of the tables of a TFLite file."""
    return package("ai_edge_litert.schema_py_generated")


def package(module: str) -> ModuleType:
    """Imports and returns a module of ai-edge-litert or ai-edge-quantizer.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    try:
        with muted():
            return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            module.partition(".")[0], "tflite-host", "Quantizing a bundle for the target tflite"
        ) from error
