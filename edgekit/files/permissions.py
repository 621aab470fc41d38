"""Reads the umask without changing it, and makes files private to their owner."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

__all__ = ["make_private", "umask"]

_STATUS = Path("/proc/self/status")


def umask() -> int:
    """Returns the permission bits that new files lack.

    The system call that reads the umask also sets it for all threads. Linux provides the value in a
    file; elsewhere it follows from the permissions of a new file.
    """
    try:
        status = _STATUS.read_text(errors="replace")
        return int(status.partition("\nUmask:")[2].split(maxsplit=1)[0], 8)
    except (OSError, ValueError, IndexError):
        return _seen_umask()


def _seen_umask() -> int:
    with tempfile.TemporaryDirectory() as folder:
        handle = os.open(Path(folder, "new"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o777)
        try:
            return 0o777 & ~os.fstat(handle).st_mode
        finally:
            os.close(handle)


def make_private(path: Path) -> None:
    """Gives only the owner access to a file or folder that EdgeKit keeps for itself.

    Files of other users stay unchanged.
    """
    with contextlib.suppress(OSError):
        mode = 0o700 if path.is_dir() else 0o600
        if path.stat().st_uid == os.geteuid() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)
