"""Reads how much processor time the system allows this process, as a number of cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_VERSION_1 = ("quota", "period")


def cpu_quota(groups: Path | None = None, own: Path | None = None) -> float | None:
    """Returns the lowest CPU quota of this process's control groups and their parents, in cores.

    Args:
        groups: Mount point of the control groups, version 1 or 2; None for ``/sys/fs/cgroup``.
        own: File that lists the process's groups; None for ``/proc/self/cgroup``.

    Returns:
        The quota in cores, for example 0.5 for half of a core; None if there is no quota.
    """
    found = []
    for folder in _folders(groups or _GROUPS, own or _OWN):
        with contextlib.suppress(OSError, ValueError):  # "max" means no quota
            quota, period = _limits(folder)
            if quota > 0 and period > 0:
                found.append(quota / period)
    return min(found, default=None)


def _limits(folder: Path) -> tuple[int, int]:
    """Reads quota and period, both in microseconds."""
    version_2 = folder / "cpu.max"
    if version_2.is_file():
        quota, period = version_2.read_text().split()
    else:
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in _VERSION_1)
    return int(quota), int(period)


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """Yields the folders that may limit the CPU, whether they exist or not."""
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
        # A container may see its own group as the root, whatever the path says; .. leads out of it.
        place = PurePosixPath(path.lstrip("/"))
        parts = [] if ".." in place.parts else [place, *place.parents]
        for mount in mounts:
            yield mount
            yield from (mount / part for part in parts)
