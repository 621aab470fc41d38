"""How much of the processor the system lets this process use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_VERSION_1 = ("quota", "period")


def cpu_quota(groups: Path | None = None, own: Path | None = None) -> float | None:
    """The tightest CPU quota of this process's control groups and their parents, in cores.

    Args:
        groups: Where control groups are mounted, version 1 or 2; by default ``/sys/fs/cgroup``.
        own: Which groups the process is in; by default ``/proc/self/cgroup``.

    Returns:
        For example 0.5 for half of a core; None where there is no quota.
    """
    found = []
    for folder in _folders(groups or _GROUPS, own or _OWN):
        with contextlib.suppress(OSError, ValueError):  # "max", where there is none
            quota, period = _limits(folder)
            if quota > 0 and period > 0:
                found.append(quota / period)
    return min(found, default=None)


def _limits(folder: Path) -> tuple[int, int]:
    """Microseconds of the processor in each period, and of the period."""
    version_2 = folder / "cpu.max"
    if version_2.is_file():
        quota, period = version_2.read_text().split()
    else:
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in _VERSION_1)
    return int(quota), int(period)


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """Those that may limit the processor, whether they are there or not."""
    try:
        lines = own.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            mounts = [groups, groups / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [groups / controllers, groups / "cpu"]
        else:
            continue
        # A container may see its own group as the root, whatever the path says; .. lies outside.
        place = PurePosixPath(path.lstrip("/"))
        parts = [] if ".." in place.parts else [place, *place.parents]
        for mount in mounts:
            yield mount
            yield from (mount / part for part in parts)
