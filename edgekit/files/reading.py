"""Reads untrusted files safely: regular files of limited size, and names below a folder.

A file may name others: a video in ``annotations.json``, a line of a list, a file of a manifest.
Such a name is only ever a path below the folder of that file. It is never an address, a device, a
GStreamer pipeline or standard input.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

__all__ = [
    "is_own",
    "is_there",
    "open_regular",
    "path_below",
    "read_gzip",
    "read_regular",
    "real_path",
    "without_mark",
]

_SHOWN = 80
_PIECE, _PACKED = 1 << 20, 1 << 16
_MOST_MEMBERS = 10_000
_ANY_RATIO, _MOST_RATIO = 1 << 26, 100


def read_regular(path: Path, most: int, *, own: bool = False) -> bytes:
    """Returns the content of a regular file; a file that is too large is not read.

    Args:
        path: Path of the file. A pipe or a device is refused without waiting for it.
        most: Largest size in bytes.
        own: Whether a file that other users wrote or may write is refused, as in ``is_own``.

    Raises:
        OSError: The file cannot be read, is not regular, or is too large; ``strerror`` says which.
    """
    with open_regular(path, most, own=own) as (file, expected):
        # A read allocates the requested size, so request the file's size and not the limit.
        content = file.read(expected + 1)
        if len(content) > expected:  # the file is growing
            content += file.read(most + 1 - len(content))
        if len(content) > most:
            raise _too_large(len(content), most, path)
        return content


def without_mark(text: bytes) -> bytes:
    """Returns text without the byte order mark that programs on Windows put before UTF-8."""
    return text.removeprefix(codecs.BOM_UTF8)


def read_gzip(path: Path, most: int) -> bytes:
    """Returns the unpacked content of a gzip file of limited size.

    Args:
        path: Path of the file. A pipe or a device is refused without waiting for it.
        most: Largest size in bytes, both packed and unpacked. Content of over 64 MiB is at most 100
            times as large as the file.

    Raises:
        OSError: The file cannot be read, as in ``read_regular``, is too large, or consists of more
            than 10,000 compressed parts.
        EOFError: The file is truncated.
        zlib.error: The file is damaged, or is no gzip file.
    """
    content = io.BytesIO()
    with open_regular(path, most) as (packed, size):
        room = min(most, max(_ANY_RATIO, _MOST_RATIO * size))
        for piece in _unpacked(packed, path):
            content.write(piece)
            if content.tell() > room:
                raise OSError(
                    errno.EFBIG,
                    f"it unpacks to more than the {room} bytes that are read of {size} packed ones",
                    str(path),
                )
    return content.getvalue()


def _unpacked(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yields the content of a gzip file in pieces.

    The gzip module reads names, comments and padding byte by byte, which takes a minute for 256
    MiB.
    """
    packed = b""
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not member.eof:
            packed = packed or file.read(_PACKED)
            if not packed:
                raise EOFError("it ends in the middle of the compressed data")
            yield member.decompress(packed, _PIECE)
            packed = member.unconsumed_tail
        packed = member.unused_data
        while not (packed := packed.lstrip(b"\0")):  # zeros may fill the file to a block's end
            if not (packed := file.read(_PACKED)):
                return
    raise OSError(errno.EFBIG, f"it has more than {_MOST_MEMBERS} compressed parts", str(path))


@contextlib.contextmanager
def open_regular(
    path: Path, most: int | None = None, *, own: bool = False
) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a regular file; yields it with its size.

    What is opened is checked, so that nothing else can take its place after the check.

    Args:
        path: Path of the file. A pipe or a device is refused without waiting for it.
        most: Largest size in bytes; None for no limit.
        own: Whether a file that other users wrote or may write is refused, as in ``is_own``.

    Raises:
        OSError: The file cannot be opened, is not regular, or is too large.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:  # noqa: PTH123
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if own and not is_own(status):
            raise PermissionError(errno.EPERM, "another user wrote it or may write it", str(path))
        if most is not None and status.st_size > most:
            raise _too_large(status.st_size, most, path)
        yield file, status.st_size


def is_own(status: os.stat_result) -> bool:
    """Returns whether a file or folder is of this user or of root, and not everybody's to write."""
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & stat.S_IWOTH


def _too_large(size: int, most: int, path: Path) -> OSError:
    return OSError(errno.EFBIG, f"it has {size} bytes, and at most {most} are read", str(path))


def real_path(path: Path) -> Path:
    """Returns an absolute path without links, but for those that lead nowhere or are not allowed.

    ``Path.resolve`` raises for circular links.
    """
    try:
        return Path(os.path.realpath(path))
    except OSError:  # for links of /proc to folders of other users
        return path.absolute()


def is_there(path: Path) -> bool:
    """Returns whether something exists at a path; False if that cannot be known.

    ``Path.exists`` raises for long names and for folders that may not be entered.
    """
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def path_below(root: Path, name: str, *, inside: bool = False) -> Path:
    """Returns the path, below a folder, of a name inside a file.

    The text of the name has to lead downwards. Symbolic links on the way are followed by default:
    the owner of the folder made them, and data sets are often folders of links.

    Args:
        root: Folder of the file that contains the name.
        name: Relative path, with parts separated by ``/``.
        inside: Whether the target of symbolic links has to be below the folder too.

    Returns:
        The path of a regular file or a folder, or a path at which nothing exists.

    Raises:
        ValueError: The name leads elsewhere, or to something else; the text begins with the name.
    """
    shown = repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in re.split(r"[/\\]", name) or not pure.parts or "\0" in name:
        raise ValueError(f"{shown} is not a path inside {root}")
    path = root / pure
    try:
        mode = path.stat().st_mode
        leads_out = inside and not path.resolve().is_relative_to(root.resolve())
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, RuntimeError, ValueError) as error:  # too long, circular, or no text
        reason = getattr(error, "strerror", None) or "it is not the name of a file"
        raise ValueError(f"{shown} cannot be resolved inside {root}: {reason}") from error
    if leads_out:
        raise ValueError(f"{shown} is a link that leads out of {root}")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{shown} in {root} is neither a regular file nor a folder")
    return path
