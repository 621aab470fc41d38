"""Permissions of the files that EdgeKit writes."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from pathlib import Path

__all__ = ["make_private", "umask"]

_STATUS = Path("/proc/self/status")


def umask() -> int:
    """Returns the permission bits that new files lack.

    The system call that reads the umask also sets it, and other threads could create world-writable
    files at that moment. Linux provides the value in a file; elsewhere the call is made once.
    """
    try:
        told = _STATUS.read_text(errors="replace")
        return int(told.partition("\nUmask:")[2].split(maxsplit=1)[0], 8)
    except (OSError, ValueError, IndexError):
        return _asked_umask()


@functools.cache
def _asked_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def make_private(path: Path) -> None:
    """Gives only the owner access to a file or folder that EdgeKit keeps for itself.

    Files of other users stay unchanged.
    """
    with contextlib.suppress(OSError):
        mode = 0o700 if path.is_dir() else 0o600
        if path.stat().st_uid == os.geteuid() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)
