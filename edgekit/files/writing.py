"""Writes files so that a reader sees the old or the new content, never a part."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import OutputError

__all__ = [
    "TEMPORARY",
    "atomic_file",
    "atomic_folder",
    "longest_name",
    "make_private",
    "marked",
    "output_error",
    "refuse_existing",
    "refuse_unwritable",
    "refuse_unwritable_folder",
    "require_parent",
    "temporary_file",
    "umask",
    "writing",
]

TEMPORARY = ".edgekit-"
"""Prefix of temporary names, short enough for any folder."""

_TIDIED: set[Path] = set()

_LONGEST_ENDING = 16
_LONGEST_NAME = 255
_STATUS = Path("/proc/self/status")


def output_error(error: OSError, path: Path) -> OutputError:
    """Returns the error that says why ``path`` could not be written, and what to do."""
    reason = error.strerror or str(error)
    folder = path.parent
    if error.errno == errno.ENOENT and not folder.is_dir():
        reason, hint = f"there is no folder {folder}", f"Run: mkdir -p {shlex.quote(str(folder))}"
    elif error.errno == errno.ENAMETOOLONG:
        hint = "Give it a shorter name."
    elif error.errno == errno.ENOSPC:
        hint = "Free some space there, or name another place."
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        hint = "Let this process open more files: ulimit -n 4096, in a unit LimitNOFILE=4096"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "Make the folder writable, or name another place."
    else:
        hint = "Name another place."
    return OutputError(f"Cannot write {path}: {reason}.", hint=hint)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Converts any ``OSError`` of the block to the error of ``output_error``."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder, and renames it to ``path`` on success.

    Raises:
        OutputError: The folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    with writing(path):
        _refuse_name(path)
        with temporary_file(path.parent, _split(path)[1]) as temporary:
            yield temporary
            temporary.chmod(0o666 & ~umask())
            temporary.replace(path)


@contextlib.contextmanager
def temporary_file(folder: Path, ending: str) -> Iterator[Path]:
    """Yields an empty file with a unique name, and removes it afterwards if it still exists.

    The first call of a process for a folder removes files that killed processes have left there.
    Such files are recognized by their missing lock, because the kernel unlocks a dead process's
    files.

    Raises:
        OSError: The folder is missing or cannot be written.
    """
    place = folder.absolute()
    if place not in _TIDIED:
        _TIDIED.add(place)
        _remove_left(place)
    while True:
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=ending, dir=folder)
        # Before it was locked, another process may have removed it as an abandoned file.
        _lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            break
        os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _remove_left(folder: Path) -> None:
    """Removes unlocked temporary files, but no folders: these may hold replaced content."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{TEMPORARY}*"):
            with contextlib.suppress(OSError):
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
                try:
                    if stat.S_ISREG(os.fstat(handle).st_mode) and _lock(handle):
                        path.unlink()
                finally:
                    os.close(handle)


def _lock(handle: int, *, wait: bool = False) -> bool:
    """Locks a file until it is closed; False if another process has it or locks do not exist."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (ImportError, OSError):  # Windows has no fcntl
        return False
    return True


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
    if path.exists() and not path.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, "it is no folder"), path)
    _refuse_below(path, path if path.exists() else None)


def require_parent(path: Path) -> None:
    """Raises if the parent folder of ``path`` is missing; it is never created silently.

    Raises:
        OutputError: The parent is missing, or the name of ``path`` is too long.
    """
    with writing(path):
        _refuse_name(path)
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"{path.parent} is no folder")


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
    stem, ending = _split(path)
    most = longest_name(path.parent)
    while stem and len(os.fsencode(f"{stem}{mark}{ending}")) > most:
        stem = stem[1:]
    return path.with_name(f"{stem}{mark}{ending}")


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
        _refuse_name(path)
    if os.path.lexists(path):
        if not path.is_dir():
            raise OutputError(
                f"{path} is there and no folder, and a folder is to be written.",
                hint="Name another place.",
            )
        if os.path.ismount(path):
            raise OutputError(
                f"{path} is where a disk is mounted, which cannot be replaced as a whole.",
                hint=f"Name a folder in it, for example {path / 'new'}",
            )
        if not force:
            raise OutputError(
                f"{path} is already there.",
                hint="Add --force to replace it, or name another place.",
            )
        if mark is not None and not (path / mark).exists() and any(path.iterdir()):
            raise OutputError(
                f"{path} has no {mark}: it holds something else, and --force would delete it.",
                hint="Name another place.",
            )
    _refuse_below(path)


def _split(path: Path) -> tuple[str, str]:
    """Splits a name into its stem and its extension, such as ``.jsonl`` or ``.json.gz``."""
    ending = path.suffix
    if ending == ".gz":
        ending = Path(path.stem).suffix + ending
    if len(os.fsencode(ending)) > _LONGEST_ENDING:
        ending = ""
    return path.name[: len(path.name) - len(ending)], ending


def _refuse_name(path: Path) -> None:
    """Raises ``OSError`` if a name is too long for the file system."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()


def _refuse_below(path: Path, present: Path | None = None) -> None:
    """Raises if nothing can be created at ``path``, or if ``present`` may not be written."""
    with writing(path):
        _refuse_name(path)
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:  # missing folders would be created
        folder = folder.parent
    if not folder.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder"), path)
    if not os.access(present or folder, os.W_OK):
        raise output_error(PermissionError(errno.EACCES, "it may not be written"), path)


@contextlib.contextmanager
def atomic_folder(
    path: Path, *, force: bool = False, mark: str | None = None, private: bool = False
) -> Iterator[Path]:
    """Yields a temporary folder, and renames it to ``path`` on success.

    Args:
        path: Path of the folder to create.
        force: Whether an existing folder is replaced.
        mark: Name of a file that an existing folder must hold to be replaced, unless it is empty;
            None to replace any folder.
        private: Whether only the owner may read the folder.

    Raises:
        OutputError: The folder cannot be replaced, as in ``refuse_existing``, or cannot be written.
    """
    path = Path(path)
    refuse_existing(path, force=force, mark=mark)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
        try:
            yield temporary
            if private:
                for file in temporary.rglob("*"):
                    make_private(file)
            else:
                temporary.chmod(0o777 & ~umask())
            if path.exists():
                _replace(path, temporary)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _replace(path: Path, new: Path) -> None:
    """Replaces a folder by another; the old folder stays if that fails."""
    aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
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


def umask() -> int:
    """Returns the permission bits that new files lack.

    The system call that reads the umask also sets it, and other threads could create world-writable
    files at that moment. Linux provides the value in a file; elsewhere the call is made once.
    """
    try:
        told = _STATUS.read_text(errors="replace")
        return int(told.partition("\nUmask:")[2].split(maxsplit=1)[0], 8)
    except (OSError, ValueError, IndexError):
        return _asked_umask()


@functools.cache
def _asked_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def make_private(path: Path) -> None:
    """Gives only the owner access to a file or folder that EdgeKit keeps for itself.

    Files of other users stay unchanged.
    """
    with contextlib.suppress(OSError):
        mode = 0o700 if path.is_dir() else 0o600
        if path.stat().st_uid == os.geteuid() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)
