"""Reads and writes files of named tensors; nothing in a file is ever executed.

Two formats are read: the output of ``torch.save`` (a zip archive, or before torch 1.6 a pickle),
with torch's restricted unpickler only, and safetensors. Safetensors files are written here because
its library orders the metadata differently each time, and equal weights must give equal files.
"""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import CheckpointError, MissingDependencyError
from edgekit.files.reading import open_regular
from edgekit.files.schemas import check_schema
from edgekit.files.writing import atomic_file
from edgekit.models.pickles import foreign_objects

__all__ = ["SCHEMA", "WeightFile", "read_weights", "write_safetensors"]

_ASK_FOR = "Give a CenterNet or KORSAL .pth, a state dict saved by torch, or .safetensors."
_COPY_AGAIN = "Copy or download the file again, and compare its size with the original's."
SCHEMA = 1
"""Version of a checkpoint's metadata that EdgeKit writes, and the newest that it reads."""

_SCHEMA_KEY = "edgekit_schema"
_MOST_BYTES = 1 << 32
_MOST_HEADER = 1 << 24
_MOST_PACKED = 4
"""torch packs nothing; others make a file smaller, and weights become little smaller."""

_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Content of a file of weights, before the network is identified.

    Attributes:
        entries: Stored values by name: tensors, or the containers that a framework put around them.
        epoch: Epoch that was stored with the weights; None if there is none.
        metadata: Strings of a safetensors header; empty for other formats.
    """

    entries: Mapping[object, object]
    epoch: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def read_weights(path: Path) -> WeightFile:
    """Returns the content of a file by name; ``find_weights`` finds the weights in it.

    Raises:
        CheckpointError: The file is missing, unreadable, incomplete or of another format, or
            loading it would run code.
        MissingDependencyError: The file is a safetensors file, and safetensors is not installed.
    """
    head = _head(path)
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise CheckpointError(
            f"Expected a checkpoint; {path} has {size} bytes, and at most {_MOST_BYTES} are read.",
            hint=_ASK_FOR,
        )
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return _named(path, _load_torch(path))
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length < 1 << 40:
        if length > min(_MOST_HEADER, size):
            raise CheckpointError(
                f"Expected a safetensors file; {path} claims a header of {length} bytes, and at "
                f"most {min(_MOST_HEADER, size)} are read.",
                hint=_COPY_AGAIN,
            )
        return _load_safetensors(path)
    raise CheckpointError(
        f"Expected a checkpoint; {path} is neither a torch file nor a safetensors file.",
        hint=_ASK_FOR,
    )


def write_safetensors(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes tensors and strings completely or not at all; equal content gives equal bytes.

    Args:
        path: File to write; an existing file is replaced.
        state: Tensors by name: float32, float16 or int64.
        metadata: Strings to store in the header, beside their schema.

    Raises:
        OutputError: The file cannot be written.
    """
    # Writing the widest types first keeps every tensor aligned to its own size.
    names = sorted(state, key=lambda name: (-state[name].element_size(), name))
    stated = {_SCHEMA_KEY: str(SCHEMA), **metadata}
    header: dict[str, Any] = {"__metadata__": dict(sorted(stated.items()))}
    end = 0
    for name in names:
        tensor = state[name]
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(state[name].detach().cpu().contiguous().numpy().tobytes())


def _head(path: Path) -> bytes:
    try:
        if not path.exists():
            raise CheckpointError(
                f"Expected a checkpoint at {path}; there is nothing.", hint="Check the path."
            )
        if not path.is_file():
            raise CheckpointError(f"Expected a checkpoint; {path} is not a file.", hint=_ASK_FOR)
        with open_regular(path) as (file, _):
            head = file.read(16)
    except OSError as error:
        raise CheckpointError(
            f"Cannot read {path}: {error.strerror}.", hint="Make the file readable."
        ) from error
    if not head:
        raise CheckpointError(f"Expected a checkpoint; {path} is empty.", hint=_COPY_AGAIN)
    return head


def _load_torch(path: Path) -> object:
    try:
        if zipfile.is_zipfile(path):
            _check_size(path)
            _refuse_program(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old format still loads; its age needs no warning
            content: object = torch.load(path, map_location="cpu", weights_only=True)
        if zipfile.is_zipfile(path):
            _check_archive(path)
        return content
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        foreign = foreign_objects(path)
        found = f"that are no weights ({foreign})" if foreign else "of another kind, or is damaged"
        raise CheckpointError(
            f"Expected only weights; {path} holds Python objects {found}. "
            "EdgeKit executed nothing in it.",
            hint="If you trust the file, load it in the environment that trained it, and "
            "save only the "
            'weights: torch.save({"state_dict": model.state_dict()}, path).',
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise CheckpointError(
            f"Expected a torch checkpoint; {path} is damaged, truncated, or an archive of "
            f"something else ({reason}).",
            hint=_COPY_AGAIN,
        ) from error


def _refuse_program(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise CheckpointError(
                f"Expected only weights; {path} holds a TorchScript program.",
                hint='Save its weights: torch.save({"state_dict": '
                'torch.jit.load(PATH).state_dict()}, "weights.pth")',
            )


def _check_size(path: Path) -> None:
    """Refuses an archive that unpacks to much more than it is, before it is unpacked."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    size = path.stat().st_size
    if unpacked > _MOST_PACKED * size:
        raise CheckpointError(
            f"Expected a checkpoint; {path} has {size} bytes and unpacks to {unpacked}.",
            hint=_ASK_FOR,
        )


def _check_archive(path: Path) -> None:
    """Checks the checksums of a torch archive, which torch does not check."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(
            f"Expected a whole checkpoint; in {path}, {damaged} does not have its checksum.",
            hint=_COPY_AGAIN,
        )


def _named(path: Path, content: object) -> WeightFile:
    if not isinstance(content, dict):
        raise CheckpointError(
            f"Expected a dict of weights; {path} holds a {type(content).__name__}.", hint=_ASK_FOR
        )
    epoch = content.get("epoch")
    return WeightFile(content, epoch if isinstance(epoch, int) else None)


def _load_safetensors(path: Path) -> WeightFile:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingDependencyError.for_extra("safetensors", "host", f"Reading {path}") from error
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            entries = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"Expected a safetensors file; {path} is damaged or truncated ({error}).",
            hint=_COPY_AGAIN,
        ) from error
    schema = metadata.pop(_SCHEMA_KEY, "0")
    check_schema(
        schema if (number := _number(schema)) is None else number,
        SCHEMA,
        what="checkpoint",
        path=path,
        error=CheckpointError,
        hint=_COPY_AGAIN,
        oldest=0,
    )
    return WeightFile(entries, _number(metadata.get("epoch", "")), metadata)


def _number(text: str) -> int | None:
    # Python refuses to read thousands of digits.
    return int(text) if text.isdecimal() and len(text) < 10 else None
