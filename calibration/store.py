"""Caches finished work in a folder, under a key of everything that it depends on.

Keys never depend on paths: equal content is found again wherever it is stored, and other content
never is. A piece is complete or absent, so interrupted work continues where it ended. A piece with
a wrong checksum is made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

import edgekit
from edgekit._parameters import parameter
from edgekit.files.checksums import is_proven, prove_folder
from edgekit.files.output_paths import writing
from edgekit.files.writing import cached_folder
from edgekit.system.user_folders import user_folder

__all__ = ["Store", "array_file", "default_store", "key_of"]


def key_of(*parts: object) -> str:
    """Returns a key for the result of this code with ``parts`` as its inputs.

    The key is the SHA-256 of code and inputs, in 32 hexadecimal digits. After an upgrade, results
    of other code are therefore never found.
    """
    content = msgspec.json.encode((_code(), *parts), order="sorted")
    return hashlib.sha256(content).hexdigest()[:32]


@functools.cache
def _code() -> str:
    """Returns the SHA-256 of all modules of EdgeKit."""
    package = Path(str(edgekit.__file__)).parent
    # In a checkout, some folders of the package are symbolic links.
    folders = sorted(Path(folder) for folder, _, _ in os.walk(package, followlinks=True))
    digest = hashlib.sha256()
    for path in (path for folder in folders for path in sorted(folder.glob("*.py"))):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def array_file(
    path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
    """Creates a .npy file and returns it as an array, with its disk space reserved.

    Without the reservation, a full disk would end the process by a signal (SIGBUS) in the middle of
    an assignment.

    Raises:
        OSError: The disk lacks space.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def default_store(option: str | None = None, *, make: bool = True) -> Path:
    """Returns the default folder for finished work: EdgeKit's cache folder of the user.

    Args:
        option: Parameter that names another place, for errors; by default ``cache``, and empty if
            there is none.
        make: Whether to create a missing folder and check that it can be written.

    Raises:
        OutputError: The user has no cache folder, or it cannot be written.
    """
    if option is None:
        option = parameter("cache", "DIR")
    return user_folder("XDG_CACHE_HOME", ".cache", option, make=make)


class Store:
    """Finished pieces of work, each in its own folder.

    Args:
        path: Folder of the store, created if missing, in an existing folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Prevents ``edgekit cache clear`` of other processes while the block runs.

        Raises:
            OutputError: The folder cannot be created.
        """
        with writing(self.path):
            self.path.mkdir(0o700, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # the file system has no locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    def folder(
        self, kind: str, key: str, make: Callable[[Path], None], *, others: bool = False
    ) -> Path:
        """Returns the folder of a piece, which is made now unless it exists and is proven complete.

        Args:
            kind: Kind of the piece, as a readable part of its name.
            key: Key from ``key_of``.
            make: Function that fills an empty folder, which becomes the piece when it returns.
            others: Whether those who use the piece may add files to it.

        Raises:
            OutputError: The folder cannot be written.
        """
        place = self.path / f"{kind}-{key}"

        def fill(folder: Path) -> None:
            make(folder)
            prove_folder(folder, place.name)

        with writing(self.path):
            self.path.mkdir(0o700, exist_ok=True)
        cached_folder(place, lambda: is_proven(place, place.name, others=others), fill)
        return place
