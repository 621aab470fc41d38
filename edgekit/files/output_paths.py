"""Checks the paths of outputs before long work, and builds names that fit the file system."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import OutputError
from edgekit.files.reading import real_path

__all__ = [
    "longest_name",
    "marked",
    "output_error",
    "refuse_existing",
    "refuse_long_name",
    "refuse_no_folder",
    "refuse_replacing",
    "refuse_special_file",
    "refuse_unwritable",
    "refuse_unwritable_folder",
    "require_parent",
    "split_name",
    "temporary_folder",
    "writing",
]

_LONGEST_ENDING = 16
_LONGEST_NAME = 255


def output_error(error: OSError, path: Path) -> OutputError:
    """Returns the error that says why ``path`` could not be written, and what to do."""
    reason = error.strerror or str(error)
    folder = path.parent
    if error.errno == errno.ENOENT and not folder.is_dir():
        reason, hint = f"there is no folder {folder}", f"Run: mkdir -p {shlex.quote(str(folder))}"
    elif error.errno == errno.ENAMETOOLONG:
        hint = "Give it a shorter name."
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space there, or choose another path."
        with contextlib.suppress(OSError):  # there may be no folder for temporary files
            if path.absolute().is_relative_to(tempfile.gettempdir()):
                hint = (
                    "Free some space there, choose another path, or another folder for temporary "
                    "files: export TMPDIR=FOLDER"
                )
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        hint = "Raise the limit of open files: ulimit -n 4096; in a systemd unit LimitNOFILE=4096"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "Make the folder writable, or choose another path."
    else:
        hint = "Choose another path."
    return OutputError(f"Cannot write {path}: {reason}.", hint=hint)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Converts any ``OSError`` of the block to the error of ``output_error``."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields a new folder, which is deleted after the block.

    Raises:
        OutputError: It cannot be made. Errors of the block are not converted.
    """
    try:
        made = tempfile.TemporaryDirectory()
    except OSError as error:
        raise OutputError(
            f"Cannot make a temporary folder: {error.strerror or error}.",
            hint="Free some space, or name a folder that has some: export TMPDIR=FOLDER",
        ) from error
    with made as name:
        yield Path(name)


def refuse_unwritable(path: Path) -> None:
    """Raises, before long work, if a file could not be written after the work.

    Raises:
        OutputError: The parent is no folder, ``path`` is a folder, or it may not be written.
    """
    require_parent(path)
    if path.is_dir():
        raise output_error(IsADirectoryError(errno.EISDIR, "it is a folder"), path)
    _refuse_below(path, path if path.exists() else None)


def refuse_unwritable_folder(path: Path) -> None:
    """Raises, before long work, if a folder could not be created or written after the work.

    Raises:
        OutputError: ``path`` is no folder, or may not be created or written.
    """
    refuse_no_folder(path)
    _refuse_below(path, path if path.exists() else None)


def refuse_no_folder(path: Path) -> None:
    """Raises, before long work, if something else than a folder is at a path.

    Raises:
        OutputError: There is, such as a link that leads nowhere.
    """
    if os.path.lexists(path) and not path.is_dir():
        reason = "it is not a folder" if path.exists() else "it is a link that leads nowhere"
        raise output_error(NotADirectoryError(errno.ENOTDIR, reason), path)


def require_parent(path: Path) -> None:
    """Raises if the parent folder of ``path`` is missing; it is never created silently.

    Raises:
        OutputError: The parent is missing, or the name of ``path`` is too long.
    """
    with writing(path):
        refuse_long_name(path)
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"{path.parent} is not a folder")


def refuse_special_file(path: Path) -> None:
    """Raises if a device, named pipe or socket is at ``path``: a rename would replace it.

    Raises:
        OutputError: There is one.
    """
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise OutputError(
                f"EdgeKit does not replace {path}: it is a device, a named pipe or a socket.",
                hint="Choose the path of a regular file.",
            )


def refuse_existing(path: Path, *, force: bool, mark: str | None = None) -> None:
    """Raises, before long work, if a folder could not be written after the work.

    Args:
        path: Path of the folder.
        force: Whether an existing folder may be replaced.
        mark: Name of a file that an existing folder must hold to be replaced, unless it is empty;
            None to replace any folder.

    Raises:
        OutputError: ``path`` may not be replaced, cannot be replaced, or cannot be written.
    """
    with writing(path):
        refuse_long_name(path)
    if os.path.lexists(path):
        if not path.is_dir():
            raise OutputError(
                f"Expected {path} to be a folder, or not to exist; found a file or a broken link.",
                hint="Choose another path.",
            )
        if os.path.ismount(path):
            raise OutputError(
                f"EdgeKit cannot replace {path}: it is a mount point.",
                hint=f"Choose a folder in it, for example {path / 'new'}",
            )
        if not force:
            raise OutputError(
                f"{path} already exists.",
                hint=f"Add {parameter('force', True)} to replace it, or choose another path.",
            )
        with writing(path):
            is_other = mark is not None and not (path / mark).exists() and any(path.iterdir())
        if is_other:
            raise OutputError(
                f"EdgeKit does not replace {path}: it holds other files, and no {mark}.",
                hint="Choose another path.",
            )
    _refuse_below(path)


def refuse_replacing(path: Path, *inputs: Path | None) -> None:
    """Raises, before long work, if a folder to write is or holds an input, which would be lost.

    Args:
        path: Path of the folder.
        inputs: Files and folders to read; None for one that is not given.

    Raises:
        OutputError: An input is there.
    """
    for each in inputs:
        if each is not None and real_path(each).is_relative_to(real_path(path)):
            raise OutputError(
                f"EdgeKit does not replace {path}: it reads {each}.", hint="Choose another path."
            )


def refuse_long_name(path: Path) -> None:
    """Raises ``OSError`` if a name is too long for the file system."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()


def _refuse_below(path: Path, present: Path | None = None) -> None:
    """Raises if nothing can be created at ``path``, or if ``present`` may not be written."""
    with writing(path):
        refuse_long_name(path)
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:  # missing folders would be created
        folder = folder.parent
    if not folder.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder"), path)
    if not os.access(present or folder, os.W_OK):
        raise output_error(
            PermissionError(errno.EACCES, "you have no permission to write it"), path
        )


def longest_name(folder: Path) -> int:
    """Returns the largest number of bytes in the name of a file in a folder."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        return _LONGEST_NAME


def marked(path: Path, mark: str) -> Path:
    """Inserts a mark before the extension: ``events.jsonl`` and ``-1`` give ``events-1.jsonl``.

    If the result is too long for a name, the first characters of the name are dropped.
    """
    stem, ending = split_name(path)
    most = longest_name(path.parent)
    while stem and len(os.fsencode(f"{stem}{mark}{ending}")) > most:
        stem = stem[1:]
    return path.with_name(f"{stem}{mark}{ending}")


def split_name(path: Path) -> tuple[str, str]:
    """Splits a name into its stem and its extension, such as ``.jsonl`` or ``.json.gz``."""
    ending = path.suffix
    if ending == ".gz":
        ending = Path(path.stem).suffix + ending
    if len(os.fsencode(ending)) > _LONGEST_ENDING:
        ending = ""
    return path.name[: len(path.name) - len(ending)], ending
