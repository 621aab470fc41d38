"""Writing files so that a reader sees the old content or the new, never a part."""

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
"""Of temporary names, which are short of any that a user may have given."""

_TIDIED: set[Path] = set()

_LONGEST_ENDING = 16
_LONGEST_NAME = 255
_STATUS = Path("/proc/self/status")


def output_error(error: OSError, path: Path) -> OutputError:
    """The error that tells why ``path`` could not be written, and what to do."""
    reason = error.strerror or str(error)
    folder = path.parent
    if error.errno == errno.ENOENT and not folder.is_dir():
        reason, mend = f"there is no folder {folder}", f"Run: mkdir -p {shlex.quote(str(folder))}"
    elif error.errno == errno.ENAMETOOLONG:
        mend = "Give it a shorter name."
    elif error.errno == errno.ENOSPC:
        mend = "Free some space there, or name another place."
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        mend = "Let this process open more files: ulimit -n 4096, in a unit LimitNOFILE=4096"
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
        OutputError: The folder is not there or cannot be written, or the disk is full.
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
    """Yields an empty file of a name of its own, and removes it if it is still there afterwards.

    The first one that a process makes in a folder removes those that killed processes have left
    there. The kernel unlocks a file whose process is gone, and so tells which these are.

    Raises:
        OSError: The folder is not there or cannot be written.
    """
    place = folder.absolute()
    if place not in _TIDIED:
        _TIDIED.add(place)
        _remove_left(place)
    while True:
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=ending, dir=folder)
        # Before it was locked, another process may have taken it for one that was left.
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
    """Removes the temporary files that nobody has locked; folders may hold what was replaced."""
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
    """Locks a file until it is closed; False where another process has, or none can."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (ImportError, OSError):  # Windows has none
        return False
    return True


def refuse_unwritable(path: Path) -> None:
    """Raises, before long work, where a file could not be written after it.

    Raises:
        OutputError: The place is no folder, or ``path`` is one, or it may not be written.
    """
    require_parent(path)
    if path.is_dir():
        raise output_error(IsADirectoryError(errno.EISDIR, "it is a folder"), path)
    _refuse_below(path, path if path.exists() else None)


def refuse_unwritable_folder(path: Path) -> None:
    """Raises, before long work, where a folder could not be made or written after it.

    Raises:
        OutputError: It is no folder, or may not be made or written.
    """
    if path.exists() and not path.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, "it is no folder"), path)
    _refuse_below(path, path if path.exists() else None)


def require_parent(path: Path) -> None:
    """Raises where the folder that ``path`` is to be in is missing: nobody asked to make it.

    Raises:
        OutputError: It is missing, or ``path`` is too long a name.
    """
    with writing(path):
        _refuse_name(path)
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"{path.parent} is no folder")


def longest_name(folder: Path) -> int:
    """How many bytes the name of a file in a folder may have."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        return _LONGEST_NAME


def marked(path: Path, mark: str) -> Path:
    """``path`` with a mark before its ending: ``events.jsonl`` and ``-1`` give ``events-1.jsonl``.

    Where that is longer than a name may be, the name loses its first characters.
    """
    stem, ending = _split(path)
    most = longest_name(path.parent)
    while stem and len(os.fsencode(f"{stem}{mark}{ending}")) > most:
        stem = stem[1:]
    return path.with_name(f"{stem}{mark}{ending}")


def refuse_existing(path: Path, *, force: bool, mark: str | None = None) -> None:
    """Raises, before long work, where a folder could not be written after it.

    Args:
        path: The folder.
        force: It may be there already, and is replaced.
        mark: Only where it holds a file of this name, or nothing.

    Raises:
        OutputError: ``path`` may not be replaced, is none that can be, or cannot be written.
    """
    with writing(path):
        _refuse_name(path)
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


def _split(path: Path) -> tuple[str, str]:
    """A name without its ending, and the ending: ``.jsonl``, ``.json.gz``."""
    ending = path.suffix
    if ending == ".gz":
        ending = Path(path.stem).suffix + ending
    if len(os.fsencode(ending)) > _LONGEST_ENDING:
        ending = ""
    return path.name[: len(path.name) - len(ending)], ending


def _refuse_name(path: Path) -> None:
    """Raises ``OSError`` where a name is too long to be written in the end."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()


def _refuse_below(path: Path, present: Path | None = None) -> None:
    """Raises where nothing can be made at ``path``, or ``present`` may not be written."""
    with writing(path):
        _refuse_name(path)
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:  # it would be made
        folder = folder.parent
    if not folder.is_dir():
        raise output_error(NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder"), path)
    if not os.access(present or folder, os.W_OK):
        raise output_error(PermissionError(errno.EACCES, "it may not be written"), path)


@contextlib.contextmanager
def atomic_folder(
    path: Path, *, force: bool = False, mark: str | None = None, private: bool = False
) -> Iterator[Path]:
    """Yields a temporary folder; renames it to ``path`` if the block succeeds.

    Args:
        path: The folder to make.
        force: Replace a folder that is already there.
        mark: Only where it holds a file of this name, or nothing.
        private: Only its owner may read it.

    Raises:
        OutputError: As ``refuse_existing``, or nothing can be written there.
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
    """Puts a folder in the place of another, which stays where that fails."""
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
    """What the permissions of new files leave out.

    The system call that tells it sets it as well, and for a moment other threads would make files
    that everybody may write. Linux tells it in a file; elsewhere it is asked for once.
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
    """Lets nobody but the owner read a file, or enter a folder, that EdgeKit keeps for itself.

    What belongs to somebody else stays as it is.
    """
    with contextlib.suppress(OSError):
        mode = 0o700 if path.is_dir() else 0o600
        if path.stat().st_uid == os.geteuid() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)
