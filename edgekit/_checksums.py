"""Caches that are believed only when proven: a checksum is written after them, and synced last.

A power cut, a full disk or a failing one can leave a cached file that is not what was written. Who
reads it through this module gets what was written, or nothing. The proof also names what the
content was made from, so that one entry is never taken for another.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

from edgekit._files import temporary_file
from edgekit._reading import read_regular
from edgekit.bundle import sha256_of

__all__ = ["ENDING", "is_proven", "keep_file", "prove_folder", "proven_file"]

_MOST_PROOF, _MOST_CONTENT = 1 << 26, 1 << 33
ENDING = ".checksum"
"""Follows the name of a file in that of its proof; in a folder the proof has no other name."""


def keep_file(path: Path, content: bytes, identity: str) -> None:
    """Writes a cached file, then its proof; only their owner may read them.

    Args:
        path: Its folder has to be there.
        content: What a later ``proven_file`` returns.
        identity: What the content was made from.

    Raises:
        OSError: It cannot be written; what was there before is not believed then, or is whole.
    """
    digest = hashlib.sha256(content).hexdigest()
    _write(path, content)
    _write(path.with_name(path.name + ENDING), _proof(identity, {"": digest}))


def proven_file(path: Path, identity: str) -> bytes | None:
    """The content of a cached file, exactly as it was written; None unless that is proven.

    Args:
        path: See ``keep_file``.
        identity: See ``keep_file``.
    """
    try:
        proof = read_regular(path.with_name(path.name + ENDING), _MOST_PROOF)
        content = read_regular(path, _MOST_CONTENT)
    except OSError:
        return None
    digest = hashlib.sha256(content).hexdigest()
    return content if proof == _proof(identity, {"": digest}) else None


def prove_folder(folder: Path, identity: str) -> None:
    """Syncs all files of a folder, then writes the proof into it.

    Raises:
        OSError: A file cannot be read, or the proof not be written.
    """
    for path in [folder, *folder.rglob("*")]:
        _sync(path)
    _write(folder / ENDING, _proof(identity, _digests(folder)))


def is_proven(folder: Path, identity: str) -> bool:
    """Whether a folder holds the files that ``prove_folder`` found there, unchanged and no other.

    Args:
        folder: It may be missing.
        identity: See ``keep_file``.
    """
    try:
        return read_regular(folder / ENDING, _MOST_PROOF) == _proof(identity, _digests(folder))
    except OSError:
        return False


def _proof(identity: str, digests: dict[str, str]) -> bytes:
    return json.dumps({"identity": identity, "sha256": digests}, sort_keys=True).encode() + b"\n"


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(f"{path} is no file")
        if path != folder / ENDING:
            found[path.relative_to(folder).as_posix()] = sha256_of(path)
    return found


def _write(path: Path, content: bytes) -> None:
    """Replaces a file with one that is on the disk before it has its name."""
    with temporary_file(path.parent, "") as temporary:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
