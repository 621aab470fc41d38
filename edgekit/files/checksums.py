"""Writes cached files with a checksum, and reads only those whose checksum matches.

A power cut, a full disk or a failing disk can leave a cached file with other content than was
written. Reading through this module returns what was written, or nothing. The proof also names what
the content was made from, so that one entry is never mistaken for another.

What another user wrote, or what everybody may write, is not proven. A file in a folder that came
from others, such as a bundle, is signed with a secret key (BLAKE2b) besides: this user may have
copied it. Reading it then returns only what a holder of the key has written.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection
from pathlib import Path

from edgekit.files.reading import is_own, open_regular, read_regular
from edgekit.files.writing import temporary_file

__all__ = ["ENDING", "is_proven", "keep_file", "prove_folder", "proven_file", "sha256_of"]

_MOST_PROOF, _MOST_CONTENT = 1 << 26, 1 << 29
ENDING = ".checksum"
"""Suffix of a proof's file name; in a folder, the whole name of the proof."""


def sha256_of(path: Path, most: int | None = None, *, own: bool = False) -> str:
    """Returns the SHA-256 of a regular file, in hexadecimal.

    Args:
        path: Path of the file. A pipe or a device is refused without waiting for it.
        most: Largest size in bytes; None for no limit.
        own: Whether a file that other users wrote or may write is refused.

    Raises:
        OSError: The file cannot be read, is not regular, or is too large.
    """
    with open_regular(path, most, own=own) as (file, _):
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def keep_file(path: Path, content: bytes, identity: str, secret: bytes = b"") -> None:
    """Writes a cached file, then its proof; only their owner can read them.

    Args:
        path: Path of the file, in an existing folder.
        content: Content that ``proven_file`` will return.
        identity: Text that identifies what the content was made from.
        secret: Key that signs the file; empty for a checksum without a key.

    Raises:
        OSError: The file cannot be written. An earlier file is then either intact or unproven.
    """
    _write(path, content)
    _write(path.with_name(path.name + ENDING), _file_proof(content, identity, secret))


def proven_file(
    path: Path,
    identity: str,
    secret: bytes = b"",
    *,
    most: int = _MOST_CONTENT,
    own: bool = True,
) -> bytes | None:
    """Returns the content of a cached file exactly as written; None if the proof does not fit.

    Args:
        path: Path of the file.
        identity: Text that identifies what the content was made from.
        secret: Key that the file was signed with; empty for a checksum without a key.
        most: Largest size of the file in bytes; by default 512 MiB.
        own: Whether only files of this user and of root are read, as in ``reading.is_own``.
    """
    try:
        proof = read_regular(path.with_name(path.name + ENDING), _MOST_PROOF, own=own)
        content = read_regular(path, most, own=own)
    except OSError:
        return None
    return content if proof == _file_proof(content, identity, secret) else None


def prove_folder(folder: Path, identity: str) -> None:
    """Syncs all files of a folder to disk, then writes the proof into it.

    Raises:
        OSError: A file cannot be read, or the proof cannot be written.
    """
    for path in [folder, *folder.rglob("*")]:
        _sync(path)
    _write(folder / ENDING, _proof(identity, _digests(folder)))


def is_proven(folder: Path, identity: str, *, others: bool = False) -> bool:
    """Returns whether a folder holds exactly the files that ``prove_folder`` found, unchanged.

    Args:
        folder: Path of the folder, which may be missing.
        identity: Text that identifies what the content was made from.
        others: Whether other files of this user may be there too.
    """
    try:
        proof = read_regular(folder / ENDING, _MOST_PROOF, own=True)
        proven = json.loads(proof)["sha256"] if others else None
        return proof == _proof(identity, _digests(folder, proven))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _file_proof(content: bytes, identity: str, secret: bytes) -> bytes:
    proof = _proof(identity, {"": hashlib.sha256(content).hexdigest()})
    if not secret:
        return proof
    return proof + hashlib.blake2b(proof, key=secret).hexdigest().encode() + b"\n"


def _proof(identity: str, digests: dict[str, str]) -> bytes:
    return json.dumps({"identity": identity, "sha256": digests}, sort_keys=True).encode() + b"\n"


def _digests(folder: Path, names: Collection[str] | None = None) -> dict[str, str]:
    """Returns the SHA-256 of all files of a folder, or of those with given paths in it."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not (names is None or name in names or path.is_dir()):
            continue  # another process may just be writing it
        status = path.lstat()
        if not is_own(status) or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise OSError(f"{path} is not a file or folder of this user")
        if stat.S_ISREG(status.st_mode) and path != folder / ENDING:
            found[name] = sha256_of(path, own=True)
    return found


def _write(path: Path, content: bytes) -> None:
    """Replaces a file, with the new content on disk before it gets the name."""
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
