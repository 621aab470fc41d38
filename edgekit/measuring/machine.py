"""Describes the machine, and watches its other load during a measurement."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

import edgekit
from edgekit.system.cpu_quota import cpu_quota
from edgekit.system.memory import memory_gib

__all__ = ["Conditions", "Machine", "Watch", "describe_machine", "processor"]

_PACKAGES = ("numpy", "opencv-python", "opencv-python-headless")
_BUSY = (0, 1, 2, 5, 6)
_STEAL = 7
"""Columns of a line in /proc/stat: user, nice, system, irq and softirq; steal."""


def processor() -> str:
    """Returns the processor's name, or its architecture if it has none."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    board = _text("/proc/device-tree/model").strip("\0 \n")
    return board or platform.processor() or platform.machine()


def describe_machine(packages: Iterable[str] = ()) -> Machine:
    """Returns the machine and its software versions.

    Args:
        packages: Names of distributions whose versions to report, if they are installed.
    """
    versions = {"edgekit": edgekit.__version__}
    for name in (*_PACKAGES, *packages):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return Machine(
        processor=processor(),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=memory_gib(),
        system=platform.platform(terse=True),
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        python=platform.python_version(),
        packages=versions,
        cpu_quota=cpu_quota(),
    )


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine of a measurement.

    Machines count as different if ``processor``, ``architecture``, ``cores`` or ``cpu_quota`` (in
    cores) differ.
    """

    processor: str
    architecture: str
    cores: int
    memory_gib: float | None
    system: str
    governor: str | None
    python: str
    packages: dict[str, str]
    cpu_quota: float | None = None

    def same_as(self, other: Machine) -> bool:
        """Returns whether times on the two machines can be compared."""
        return (self.processor, self.architecture, self.cores, self.cpu_quota) == (
            other.processor,
            other.architecture,
            other.cores,
            other.cpu_quota,
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions on the machine during a period; a field is None if the machine does not report it.

    Attributes:
        others: Share of all cores that other processes used.
        steal: Share of all cores that the hypervisor gave to other machines.
        mhz: Frequency of the fastest core at the end, in MHz.
        celsius: Temperature of the hottest part at the end, in degrees Celsius.
        throttled: Number of times that heat or a quota slowed the processor down.
    """

    others: float | None
    steal: float | None
    mhz: float | None
    celsius: float | None
    throttled: int | None


class Watch:
    """Watches the machine from the moment it is created."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._ticks = _ticks()
        self._throttled = _throttled()

    def conditions(self, own_seconds: float) -> Conditions:
        """Returns the conditions since the watch was created.

        Args:
            own_seconds: CPU seconds that the measured process used in this period.
        """
        ticks, throttled = _ticks(), _throttled()
        others = steal = None
        if ticks and self._ticks:
            spent = [after - before for after, before in zip(ticks, self._ticks, strict=True)]
            room = (time.monotonic() - self._begin) * (os.cpu_count() or 1)
            others = min(1.0, max(0.0, sum(spent[place] for place in _BUSY) - own_seconds) / room)
            steal = min(1.0, spent[_STEAL] / room)
        slowed = None
        if throttled is not None and self._throttled is not None:
            slowed = throttled - self._throttled
        return Conditions(others, steal, _mhz(), _celsius(), slowed)


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _lines(path: str) -> list[str]:
    return _text(path).splitlines()


def _numbers(pattern: str) -> Iterator[float]:
    for path in Path("/sys/").glob(pattern):
        with contextlib.suppress(ValueError):
            yield float(_text(path))


def _ticks() -> list[float]:
    """Returns the seconds that all cores together spent in each state since the boot."""
    words = next(iter(_lines("/proc/stat")), "").split()
    if len(words) <= _STEAL + 1 or words[0] != "cpu":
        return []
    per_second = os.sysconf("SC_CLK_TCK")
    return [int(word) / per_second for word in words[1 : _STEAL + 2]]


def _mhz() -> float | None:
    found = [khz / 1e3 for khz in _numbers("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    return max(found, default=None)


def _celsius() -> float | None:
    found = [value / 1e3 for value in _numbers("class/thermal/thermal_zone*/temp")]
    return max((value for value in found if 0 < value < 150), default=None)


def _throttled() -> int | None:
    counts = list(_numbers("devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"))
    counts += [
        float(line.split()[1])
        for line in _lines("/sys/fs/cgroup/cpu.stat")
        if line.startswith("nr_throttled")
    ]
    return int(sum(counts)) if counts else None
