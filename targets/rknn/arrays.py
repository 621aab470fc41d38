"""HOST. Sends arrays through a pipe between EdgeKit and the simulator's process."""

from __future__ import annotations

import io
import struct
from typing import IO

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["read_array", "write_array"]

_LENGTH = struct.Struct("<q")
_MOST_BYTES = 1 << 30


def write_array(pipe: IO[bytes], values: Array) -> None:
    """Writes an array: its length in bytes, then its content as in a .npy file.

    Raises:
        OSError: The other process has ended.
    """
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    pipe.write(_LENGTH.pack(content.tell()) + content.getbuffer())
    pipe.flush()


def read_array(pipe: IO[bytes]) -> Array:
    """Reads an array that ``write_array`` wrote.

    Raises:
        EOFError: The other process has ended.
        ValueError: It wrote something else.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    if not 0 <= length <= _MOST_BYTES:
        raise ValueError(f"an array of {length} bytes")
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    found: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return found
