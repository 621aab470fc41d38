"""Writing files so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import OutputError

__all__ = [
    "atomic_file",
    "atomic_folder",
    "output_error",
    "refuse_existing",
    "refuse_unwritable",
    "writing",
]


def output_error(error: OSError, path: Path) -> OutputError:
    """The error that tells why ``path`` could not be written, and what to do."""
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        mend = "Free some space there, or name another place."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        mend = "Make the folder writable, or name another place."
    else:
        mend = "Name another place."
    return OutputError(f"Cannot write {path}: {reason}.", mend=mend)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns any ``OSError`` of the block into the error of ``output_error``."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; renames it to ``path`` if the block succeeds.

    Raises:
        OutputError: The folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def refuse_unwritable(path: Path) -> None:
    """Raises, before long work, where a file could not be written after it.

    Raises:
        OutputError: The place is no folder, or ``path`` is one, or it may not be written.
    """
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:  # it would be made
        folder = folder.parent
    if path.is_dir():
        raise output_error(IsADirectoryError(errno.EISDIR, "it is a folder"), path)
    if not folder.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder"), path)
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise output_error(PermissionError(errno.EACCES, "it may not be written"), path)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises, before long work, where a folder could not be written after it.

    Raises:
        OutputError: ``path`` exists and ``force`` is not set, or it is a file.
    """
    if path.exists() and not force:
        raise OutputError(
            f"{path} is already there.", mend="Add --force to replace it, or name another place."
        )
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file, and a folder is to be written.")


@contextlib.contextmanager
def atomic_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields a temporary folder; renames it to ``path`` if the block succeeds.

    Args:
        path: The folder to make.
        force: Replace a folder that is already there.

    Raises:
        OutputError: ``path`` exists and ``force`` is not set, or nothing can be written there.
    """
    path = Path(path)
    refuse_existing(path, force=force)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
                path.replace(old / "old")
                temporary.replace(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
