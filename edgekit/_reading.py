"""Reading what others send: regular files of bounded size, and names that stay below a folder.

A name that stands inside a file (a video in ``annotations.json``, a line of a list, a file of a
manifest) is only a path below the folder of that file, whatever else it could mean: an address, a
device, a pipeline of GStreamer or standard input.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import stat
from pathlib import Path, PurePosixPath

__all__ = ["path_below", "read_gzip", "read_regular"]

_SHOWN = 80
_PIECE = 1 << 20


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file; nothing of it is read where it is larger than allowed.

    Args:
        path: The file. A pipe or a device is refused without waiting for it.
        most: Largest size in bytes.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger; ``strerror`` says which.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:  # noqa: PTH123
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        # Room is made for what is asked for, so that is not the most that is allowed.
        content = b"" if status.st_size > most else file.read(status.st_size + 1)
        if len(content) > status.st_size:  # it grows
            content += file.read(most + 1 - len(content))
        size = max(status.st_size, len(content))
        if size > most:
            raise OSError(
                errno.EFBIG, f"it has {size} bytes, and at most {most} are read", str(path)
            )
        return content


def read_gzip(path: Path, most: int) -> bytes:
    """The content of a file that gzip packed, which may be no larger than allowed.

    Args:
        path: The file, as ``read_regular`` takes it.
        most: Largest size in bytes, packed and unpacked.

    Raises:
        OSError: As ``read_regular``; or it is damaged.
        EOFError: It is truncated.
        zlib.error: It is damaged.
    """
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(read_regular(path, most))) as file:
        while piece := file.read(_PIECE):
            content.write(piece)
            if content.tell() > most:
                raise OSError(
                    errno.EFBIG,
                    f"it unpacks to more than the {most} bytes that are read",
                    str(path),
                )
    return content.getvalue()


def path_below(root: Path, name: str, *, inside: bool = False) -> Path:
    """The path below a folder that a name inside a file stands for.

    The text of the name has to lead downwards. Symbolic links on the way are followed: they were
    made by whoever has the folder, and data sets are often folders of links.

    Args:
        root: The folder of the file that has the name.
        name: Its parts are separated by ``/``.
        inside: Whether also what symbolic links lead to has to be below the folder.

    Returns:
        The path. What is there is a regular file or a folder, or there is nothing.

    Raises:
        ValueError: The name leads elsewhere, or to something else; the text begins with the name.
    """
    shown = repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in re.split(r"[/\\]", name) or not pure.parts or "\0" in name:
        raise ValueError(f"{shown} is no path below {root}")
    path = root / pure
    try:
        mode = path.stat().st_mode
        leads_out = inside and not path.resolve().is_relative_to(root.resolve())
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, RuntimeError, ValueError) as error:  # too long, links in a circle, no text
        reason = getattr(error, "strerror", None) or "it is no name of a file"
        raise ValueError(f"{shown} cannot be looked up below {root}: {reason}") from error
    if leads_out:
        raise ValueError(f"{shown} is a link that leads out of {root}")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{shown} in {root} is no regular file and no folder")
    return path
