"""A folder of finished work, each piece under a key of all that it was made from.

Nothing in it is ever named by a path: the same content is found again wherever it lies, and other
content never is. A piece is there whole or not at all, so work that was interrupted goes on where
it ended.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit._files import atomic_folder

__all__ = ["Store", "default_store", "key_of"]


def key_of(*parts: object) -> str:
    """A name for what was made from ``parts``: their SHA-256, as JSON, in 32 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


def default_store() -> Path:
    """Where finished work is kept unless told otherwise: the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "edgekit"


class Store:
    """Finished pieces of work, a folder each.

    Args:
        path: Is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """The folder of a piece; made now unless it is there.

        Args:
            kind: What it is, for those who look into the store.
            key: See ``key_of``.
            make: Fills an empty folder, which becomes the piece when it returns.

        Raises:
            OutputError: It cannot be written.
        """
        place = self.path / f"{kind}-{key}"
        if not place.is_dir():
            # Where another process has finished the same piece meanwhile, either is as good.
            with atomic_folder(place, force=True) as folder:
                make(folder)
        return place
