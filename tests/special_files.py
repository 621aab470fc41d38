"""Puts what is no file of its size in the place of a file: pipes, devices, sparse files."""

from __future__ import annotations

import os
from pathlib import Path


def put_special_file(path: Path, kind: str, *, head: bytes = b"", size: int = 1 << 40) -> None:
    """Puts a pipe, device, folder, circular link or sparse file at a path, which may be in use.

    Args:
        path: Place of the file.
        kind: ``pipe``, ``device``, ``folder``, ``loop`` or ``sparse``.
        head: First bytes of a sparse file.
        size: Bytes that a sparse file claims.
    """
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    else:
        assert kind == "sparse"
        with path.open("wb") as file:
            file.write(head)
            file.truncate(size)
