"""Stores files under the hash of their content, and releases by number, in one folder.

The layout of the folder:

- ``wheels``, ``bundles``, ``inputs``: one folder for each content, named by its digest
- ``venvs``: Python environments
- ``services/NAME/releases/N``: what a service runs: options, and links to environment and bundle
- ``services/NAME/current``: link to the release that the service runs

A folder gets its name when it is complete, and ``current`` changes by renaming.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TypedDict

from edgekit.deploy.on_device.connection import DeviceError

__all__ = ["ContentStore", "SentFile", "link_to", "lock", "read_file", "write_file"]

_INCOMING = ".incoming-"
_MOST_TEXT = 1 << 18


class SentFile(TypedDict):
    """A file that the workstation sends.

    Attributes:
        path: Path within its content, with forward slashes.
        size: Size in bytes.
        sha256: SHA-256 of its content.
    """

    path: str
    size: int
    sha256: str


class ContentStore:
    """Folders of files, each named by the digest of its content.

    Args:
        folder: Folder of the store; it may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Returns the folder of a content, which may be missing."""
        return self._folder / _plain(digest)

    def missing(self, digest: str, files: Iterable[SentFile]) -> list[str]:
        """Returns the files that have to be sent; none if the content is there and intact.

        Args:
            digest: Digest of the content.
            files: Path, size and SHA-256 of each file.
        """
        place = self.path(digest)
        if place.is_dir():
            if all(_is_intact(place, each) for each in files):
                os.utime(place)
                return []
            self._set_aside(place)
        incoming = self._incoming(digest)
        return [each["path"] for each in files if not _is_intact(incoming, each)]

    def receive(self, digest: str, path: str, pieces: Iterable[bytes]) -> None:
        """Writes one file of an incoming content."""
        target = self._incoming(digest) / _inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())

    def finish(self, digest: str, files: Iterable[SentFile]) -> str:
        """Checks an incoming content and gives it its name; returns the path of its folder.

        Raises:
            DeviceError: A file does not have the expected SHA-256.
        """
        place, incoming = self.path(digest), self._incoming(digest)
        if place.is_dir():
            return str(place)
        for each in files:
            if not _is_intact(incoming, each):
                raise DeviceError(
                    f"Expected SHA-256 {each['sha256'][:16]}... of {each['path']} after the copy; "
                    "found another.",
                    "Deploy again. If it happens again, check the storage of the device: dmesg",
                )
        incoming.replace(place)
        return str(place)

    def keep_only(self, digests: set[str], *, used_since: float = float("inf")) -> None:
        """Removes every content but those named, and those used since a time."""
        for place in self._folder.iterdir() if self._folder.is_dir() else ():
            if place.name not in digests and place.stat().st_mtime < used_since:
                shutil.rmtree(place, ignore_errors=True)

    def _incoming(self, digest: str) -> Path:
        place = self._folder / f"{_INCOMING}{_plain(digest)}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _set_aside(self, place: Path) -> None:
        """Makes a damaged content an incoming one, so that only its damaged files are sent."""
        incoming = self._incoming(place.name)
        shutil.rmtree(incoming)
        place.replace(incoming)


def lock(path: Path, holder: str) -> int:
    """Locks a file for this process, and returns its handle; closing it unlocks it.

    The system unlocks the file of a process that has ended, however it ended.

    Args:
        path: File to lock.
        holder: Description of this process, for the others.

    Raises:
        DeviceError: Another process has locked the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        other = os.read(handle, 1000).decode(errors="replace").strip() or "an unknown process"
        os.close(handle)
        raise DeviceError(
            f"Another deployment changes this device: {other}.",
            "Wait until it has ended, and try again.",
        ) from None
    os.ftruncate(handle, 0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    os.pwrite(handle, f"{holder}, since {since}, process {os.getpid()} there".encode(), 0)
    return handle


def read_file(path: Path) -> tuple[str, int]:
    """Returns the text of a regular file of at most 256 KiB, and its permissions.

    Raises:
        OSError: The file cannot be read, is not regular, or is too large.
        ValueError: It is not text in UTF-8.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > _MOST_TEXT:
            reason = f"it has {status.st_size} bytes, and at most {_MOST_TEXT} are read"
            raise OSError(errno.EFBIG, reason, str(path))
        return stream.read(_MOST_TEXT).decode(), status.st_mode


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file so that readers, and a power cut, find the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def link_to(link: Path, target: str) -> None:
    """Makes a symbolic link, or changes where it leads, in one step."""
    temporary = link.with_name(f".{link.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(link)
    _sync_folder(link.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_intact(folder: Path, entry: SentFile) -> bool:
    path = folder / _inside(entry["path"])
    try:
        if path.stat().st_size != entry["size"]:
            return False
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except OSError:
        return False
    return digest.hexdigest() == entry["sha256"]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise DeviceError(f"Expected a relative path within a folder; found {path!r}.")
    return path


def _plain(name: str) -> str:
    if not name.isalnum():
        raise DeviceError(f"Expected a digest; found {name!r}.")
    return name
