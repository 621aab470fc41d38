"""Notices that a link in a bundle's path now leads to another folder."""

from __future__ import annotations

from pathlib import Path

from edgekit.bundle import MANIFEST
from edgekit.files.reading import is_there, real_path

__all__ = ["BundlePath"]


class BundlePath:
    """The path of a bundle, which may be or contain symbolic links.

    Args:
        path: Path of the bundle's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._target: Path | None = None
        self._absent: Path | None = None

    def changed_target(self) -> Path | None:
        """Returns the folder that the path leads to; None if the previous call saw the same.

        The previous call may be one of ``target``. A folder without a manifest is returned by the
        second call only, because many programs replace a link by removing it first.
        """
        target = real_path(self._path)
        if target == self._target:
            return None
        if not is_there(target / MANIFEST) and target != self._absent:
            self._absent = target
            return None
        self._target = target
        return target

    def target(self) -> Path:
        """Returns the folder that the path leads to now, seen before or not."""
        self._target = real_path(self._path)
        return self._target
