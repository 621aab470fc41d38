"""Collects facts about a device, such as its Python and free space, before anything is written."""

from __future__ import annotations

import getpass
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["collect_facts", "runtime_folder", "user_name"]


def collect_facts(root: Path) -> dict[str, object]:
    """Returns facts about the device, in JSON form.

    Args:
        root: Folder of EdgeKit's deployments; it may be missing.
    """
    there = _existing(root)
    return {
        "python": list(sys.version_info[:3]),
        "venv": _has_module("venv"),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "system": platform.system(),
        "libc": list(platform.libc_ver()),
        "node": platform.node(),
        "user": user_name(),
        "time": time.time(),
        "root": str(root),
        "free": shutil.disk_usage(there).free,
        "unwritable": _unwritable(there),
        "tegra": Path("/etc/nv_tegra_release").is_file(),
    }


def runtime_folder() -> str:
    """Returns the folder of the user's running programs, where the user's systemd listens."""
    return os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"


def user_name() -> str:
    """Returns the name of the user, or its number if it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return str(os.getuid())


def _existing(path: Path) -> Path:
    """Returns the nearest folder above a path that exists."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _unwritable(folder: Path) -> str:
    """Returns the reason why nothing can be written to a folder; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder}: {error.strerror}"


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
