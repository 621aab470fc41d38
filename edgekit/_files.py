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
    if path.is_dir():
        raise output_error(IsADirectoryError(errno.EISDIR, "it is a folder"), path)
    _refuse_below(path, path if path.exists() else None)


def refuse_existing(path: Path, *, force: bool, mark: str | None = None) -> None:
    """Raises, before long work, where a folder could not be written after it.

    Args:
        path: The folder.
        force: It may be there already, and is replaced.
        mark: Only where it holds a file of this name, or nothing.

    Raises:
        OutputError: ``path`` may not be replaced, is none that can be, or cannot be written.
    """
    if os.path.lexists(path):
        if not path.is_dir():
            raise OutputError(
                f"{path} is there and no folder, and a folder is to be written.",
                mend="Name another place.",
            )
        if os.path.ismount(path):
            raise OutputError(
                f"{path} is where a disk is mounted, which cannot be replaced as a whole.",
                mend=f"Name a folder in it, for example {path / 'new'}",
            )
        if not force:
            raise OutputError(
                f"{path} is already there.",
                mend="Add --force to replace it, or name another place.",
            )
        if mark is not None and not (path / mark).exists() and any(path.iterdir()):
            raise OutputError(
                f"{path} has no {mark}: it holds something else, and --force would delete it.",
                mend="Name another place.",
            )
    _refuse_below(path)


def _refuse_below(path: Path, present: Path | None = None) -> None:
    """Raises where nothing can be made at ``path``, or ``present`` may not be written."""
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:  # it would be made
        folder = folder.parent
    if not folder.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder"), path)
    if not os.access(present or folder, os.W_OK):
        raise output_error(PermissionError(errno.EACCES, "it may not be written"), path)


@contextlib.contextmanager
def atomic_folder(path: Path, *, force: bool = False, mark: str | None = None) -> Iterator[Path]:
    """Yields a temporary folder; renames it to ``path`` if the block succeeds.

    Args:
        path: The folder to make.
        force: Replace a folder that is already there.
        mark: Only where it holds a file of this name, or nothing.

    Raises:
        OutputError: As ``refuse_existing``, or nothing can be written there.
    """
    path = Path(path)
    refuse_existing(path, force=force, mark=mark)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                _replace(path, temporary)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _replace(path: Path, new: Path) -> None:
    """Puts a folder in the place of another, which stays where that fails."""
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    try:
        path.replace(aside / "old")
        try:
            new.replace(path)
        except BaseException:
            (aside / "old").replace(path)
            raise
        shutil.rmtree(aside / "old", ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):
            aside.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
