"""Explains why a camera cannot be used, and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import MediaError

__all__ = ["GROUP_LINE", "NOT_PERMITTED", "device_path", "is_camera", "reason_of", "unusable"]

GROUP_LINE = "sudo usermod -aG video $USER"
"""Command that lets the user open cameras from the next login on."""

NOT_PERMITTED = "may not be opened by this user"
"""Problem text of a camera that this user may not open."""


def device_path(device: int | str) -> Path:
    """Returns the device file of a camera, given its number or path."""
    return Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)


def is_camera(text: str) -> bool:
    """Returns whether a name can only be a camera, plugged in or not."""
    path = Path(text)
    if text.startswith(("/dev/video", "/dev/v4l/")):
        return True
    try:
        return path.is_char_device() or (text.startswith("/dev/") and not path.exists())
    except OSError:  # too long for a name: an address, or a pipeline
        return False


def unusable(device: int | str, reason: str) -> MediaError:
    """Returns the error for a camera that cannot be used."""
    return MediaError(
        f"Camera {device} cannot be used: {reason}.",
        hint=f"Use a file, folder or URL instead: {parameter('source', 'S')}\n"
        "To try EdgeKit without a camera: edgekit demo",
    )


def reason_of(error: OSError, path: Path) -> str:
    """Explains an error of a camera's driver, as a clause for a message."""
    number = error.errno or 0
    if number == errno.EBUSY:
        users = users_of(path)
        if users:
            return f"another program has it open: {users}"
        return f"another program has it open (to see which one, run: sudo fuser -v {path})"
    denied = f"{path} {NOT_PERMITTED} (run: {GROUP_LINE}, then log in again)"
    gone = "it was unplugged"
    pipeline = (
        "its driver needs a pipeline of the media controller (use "
        f"{parameter('source')} with GStreamer)"
    )
    reasons = {
        errno.EACCES: denied,
        errno.EPERM: denied,
        errno.ENOENT: f"there is no {path}",
        errno.ENODEV: gone,
        errno.ENXIO: gone,
        errno.ENOSPC: "its USB bus has no room for its pictures beside those of other cameras "
        f"(try {parameter('camera_format', 'MJPG')}, or a smaller {parameter('camera_size')})",
        errno.EPIPE: pipeline,
        errno.ENOLINK: pipeline,
    }
    return reasons.get(number, f"its driver says '{error.strerror or number}'")


def users_of(path: Path) -> str:
    """Lists up to three other processes that have the file open, as far as this user may see."""
    found = []
    target = path.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(entry.resolve() == target for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                found.append(f"{name} (process {process.name})")
    return ", ".join(found[:3])
