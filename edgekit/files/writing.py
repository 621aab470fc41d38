"""Writes files so that a reader sees the old or the new content, never a part.

A file's content is on the disk before the file gets its name. Otherwise a power cut could leave the
name with an empty file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit.errors import OutputError
from edgekit.files.output_paths import (
    refuse_existing,
    refuse_long_name,
    refuse_special_file,
    split_name,
    writing,
)
from edgekit.files.permissions import make_private, umask

__all__ = [
    "TEMPORARY",
    "atomic_file",
    "atomic_folder",
    "cached_folder",
    "refuse_full",
    "remove_left",
    "temporary_file",
]

TEMPORARY = ".edgekit-"
"""Prefix of temporary names, short enough for any folder."""

_PROBE_BYTES = 4096
_TIDIED: set[Path] = set()


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder, and renames it to ``path`` on success.

    Raises:
        OutputError: The folder is missing or cannot be written, the disk is full, or ``path`` is a
            device, a named pipe or a socket.
    """
    path = Path(path)
    with writing(path):
        refuse_long_name(path)
        refuse_special_file(path)
        with temporary_file(path.parent, split_name(path)[1]) as temporary:
            yield temporary
            _share_and_sync(temporary)
            refuse_special_file(path)  # one may have appeared meanwhile
            temporary.replace(path)


def _share_and_sync(path: Path) -> None:
    """Gives a new file the permissions that the umask allows, and waits until it is on the disk.

    Links are refused, because whoever may write to the folder can put a link to another file of
    this user there.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fchmod(handle, 0o666 & ~umask())
        os.fsync(handle)
    finally:
        os.close(handle)


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
        remove_left(place)
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


def refuse_full(path: Path) -> None:
    """Raises if a small new file cannot be written where ``path`` is or would be created.

    Raises:
        OutputError: There is no room, the quota or the limit of file sizes is reached, or the place
            cannot be written for another reason.
    """
    folder = path if path.is_dir() else path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK):  # an existing file in it may still be writable
        return
    with writing(path), temporary_file(folder, "") as temporary:
        temporary.write_bytes(bytes(_PROBE_BYTES))


def remove_left(folder: Path) -> None:
    """Removes temporary files of dead processes; folders stay, as they may hold old content."""
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
            What another program puts at ``path`` meanwhile stays, unless ``force`` allows it.
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
            refuse_existing(path, force=force, mark=mark)  # something may have appeared meanwhile
            if force and path.exists():
                _replace(path, temporary)
            else:
                temporary.replace(path)  # refused if a folder with files has appeared just now
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def cached_folder(path: Path, is_whole: Callable[[], bool], make: Callable[[Path], object]) -> None:
    """Fills a folder of a cache, unless it is whole already; several processes may do so at once.

    The folder of the first process stays: others may be reading it.

    Args:
        path: Path of the folder.
        is_whole: Function that returns whether the folder is there and undamaged.
        make: Function that fills an empty folder.

    Raises:
        OutputError: The folder cannot be written.
    """
    # In this order, a folder that another process finishes between the two is not replaced.
    is_there = os.path.lexists(path)
    if is_whole():
        return
    try:
        with atomic_folder(path, force=is_there, private=True) as folder:
            make(folder)
    except OutputError:
        if not is_whole():
            raise


def _replace(path: Path, new: Path) -> None:
    """Replaces a folder, or a link to one, by another folder; the old one stays if that fails."""
    seen = path.lstat()
    aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
    old = aside / "old"
    try:
        path.replace(old)
        try:
            if not os.path.samestat(seen, old.lstat()):
                raise OSError(errno.ESTALE, "another program replaced it meanwhile")
            new.replace(path)
        except BaseException:
            old.replace(path)
            raise
        if old.is_symlink():
            old.unlink()
        shutil.rmtree(old, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):
            aside.rmdir()
