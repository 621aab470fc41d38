"""Reads the metadata of installed packages without waiting for pipes or filling the memory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.files.reading import read_regular

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["metadata_text"]

_MOST_BYTES = 1 << 22


def metadata_text(distribution: Distribution, name: str) -> str:
    """Returns the content of a file of metadata, such as ``entry_points.txt``; empty if missing.

    Raises:
        OSError: The file cannot be read, is not regular, or is larger than 4 MiB.
        UnicodeDecodeError: The file is no text.
    """
    # importlib.metadata has no public name for the folder. Packages in archives have no Path.
    folder = getattr(distribution, "_path", None)
    if not isinstance(folder, Path):
        return distribution.read_text(name) or ""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return read_regular(folder / name, _MOST_BYTES).decode()
    return ""
