"""A folder of finished work, each piece under a key of all that it was made from.

Nothing in it is ever named by a path: the same content is found again wherever it lies, and other
content never is. A piece is there whole or not at all, so work that was interrupted goes on where
it ended. One whose checksum does not fit is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

import edgekit
from edgekit._checksums import is_proven, prove_folder
from edgekit._files import atomic_folder, writing
from edgekit._user_folders import user_folder

__all__ = ["Store", "array_file", "default_store", "key_of"]


def key_of(*parts: object) -> str:
    """A name for what this code makes of ``parts``.

    The SHA-256 of both, in 32 hexadecimal digits: after an upgrade nothing is found that other code
    has made.
    """
    content = msgspec.json.encode((_code(), *parts), order="sorted")
    return hashlib.sha256(content).hexdigest()[:32]


@functools.cache
def _code() -> str:
    """The SHA-256 of all modules of EdgeKit."""
    package = Path(str(edgekit.__file__)).parent
    # In a checkout some of its folders are links.
    folders = sorted(Path(folder) for folder, _, _ in os.walk(package, followlinks=True))
    digest = hashlib.sha256()
    for path in (path for folder in folders for path in sorted(folder.glob("*.py"))):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def array_file(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A new .npy file as an array, with room for all of it on the disk.

    Without that a disk that fills up would end the process by a signal (SIGBUS), in the middle of
    an assignment.

    Raises:
        OSError: There is no room.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def default_store(option: str = "--cache DIR", *, make: bool = True) -> Path:
    """Where finished work is kept unless told otherwise: the user's cache folder.

    Args:
        option: The option that names another place, for errors; empty where there is none.
        make: Make it where it is missing, and see that it can be written.

    Raises:
        OutputError: The user has none, or it cannot be written.
    """
    return user_folder("XDG_CACHE_HOME", ".cache", option, make=make)


class Store:
    """Finished pieces of work, a folder each.

    Args:
        path: Is made where it is missing; the folder that it is in has to be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """While the block runs, ``edgekit cache clear`` of another process removes nothing.

        Raises:
            OutputError: The folder cannot be made.
        """
        with writing(self.path):
            self.path.mkdir(0o700, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    def folder(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """The folder of a piece; made now unless it is there and proven to be whole.

        Args:
            kind: What it is, for those who look into the store.
            key: See ``key_of``.
            make: Fills an empty folder, which becomes the piece when it returns.

        Raises:
            OutputError: It cannot be written.
        """
        place = self.path / f"{kind}-{key}"
        if not is_proven(place, place.name):
            with writing(self.path):
                self.path.mkdir(0o700, exist_ok=True)
            # Where another process has finished the same piece meanwhile, either is as good.
            with atomic_folder(place, force=True, private=True) as folder:
                make(folder)
                prove_folder(folder, place.name)
        return place
