"""Measures and empties the folder of cached calibration results."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import OutputError
from edgekit.files.output_paths import output_error
from edgekit.files.writing import TEMPORARY

__all__ = ["Contents", "clear_cache", "contents_of"]

_LOG = logging.getLogger(__name__)

_PIECE = re.compile(r"([a-z]+)-[0-9a-f]{32}")
"""Name of a cached result: its kind, and a key as ``edgekit.calibration.store.key_of`` makes it."""

_UNFINISHED = "unfinished"


@dataclass(slots=True)
class Contents:
    """Content of a cache folder, or of what was removed from it.

    Attributes:
        folder: The folder.
        pieces: Number of cached results of each kind; ``unfinished`` counts interrupted work.
        sizes: Size of each kind, in bytes.
        others: Number of entries that EdgeKit did not write and never removes.
    """

    folder: Path
    pieces: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    others: int = 0

    @property
    def size(self) -> int:
        """Size of all cached results, in bytes."""
        return sum(self.sizes.values())

    def add(self, kind: str, size: int) -> None:
        """Counts one cached result."""
        self.pieces[kind] = self.pieces.get(kind, 0) + 1
        self.sizes[kind] = self.sizes.get(kind, 0) + size


def contents_of(folder: Path) -> Contents:
    """Returns the content of a cache folder; it is empty if there is no such folder.

    Raises:
        OutputError: The folder cannot be read.
    """
    found = Contents(folder)
    for path, kind in _entries(folder):
        if kind is None:
            found.others += 1
            _LOG.info("%s was not written by EdgeKit", path)
        else:
            size = _size(path)
            found.add(kind, size)
            _LOG.info("%s: %d bytes", path, size)
    return found


def clear_cache(folder: Path) -> Contents:
    """Removes all cached results from a folder, and the remains of interrupted work.

    Only entries that EdgeKit wrote are removed: other files stay, and links are not followed.

    Returns:
        The removed content.

    Raises:
        OutputError: Another process uses the folder, or an entry cannot be removed.
    """
    removed = Contents(folder)
    with _alone(folder):
        for path, kind in _entries(folder):
            if kind is None:
                removed.others += 1
                continue
            size = _size(path)
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(
                    f"Cannot remove {error.filename or path}: {reason}.",
                    hint=f"Make {folder} writable for this user.",
                ) from error
            removed.add(kind, size)
            _LOG.info("Removed %s, %d bytes", path, size)
    return removed


def _entries(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yields each entry of a folder and its kind; None for what EdgeKit did not write."""
    _LOG.info("Looking into %s", folder)
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"Cannot read {folder}: {error.strerror}."
        raise OutputError(message, hint=output_error(error, folder).hint) from error
    for path in paths:
        match = _PIECE.fullmatch(path.name)
        if path.is_symlink():
            yield path, None
        elif match and path.is_dir():
            yield path, match[1]
        else:
            yield path, _UNFINISHED if path.name.startswith(TEMPORARY) else None


def _size(path: Path) -> int:
    """Returns the size of a file, or of all files below a folder, in bytes."""
    files = [Path(place, name) for place, _, names in os.walk(path) for name in names]
    total = 0
    for file in files or ([] if path.is_dir() else [path]):
        with contextlib.suppress(OSError):  # removed in the meantime
            total += file.lstat().st_size
    return total


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Locks the folder, so that ``Store.in_use`` of other processes waits."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # there is nothing to remove, or a later step reports it
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(
                    f"Another edgekit process is using {folder}. Nothing was removed.",
                    hint="Wait until it has ended.",
                ) from error
        yield
    finally:
        os.close(handle)
