"""Describes a device: architecture, Python, space. Refuses one on which EdgeKit cannot run."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from edgekit.deploy.answers import FactsAnswer
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import HostError

__all__ = ["DeviceFacts", "check_space", "device_facts"]

_MACHINES = ("x86_64", "aarch64", "armv7l")
_MOST_SECONDS_OFF = 86400.0


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Facts about a device.

    Attributes:
        host: Name of the device for ``ssh``.
        python: Version of its Python.
        machine: Architecture, such as ``aarch64``.
        libc: Name and version of its C library.
        root: Folder of EdgeKit's deployments.
        free: Free space there, in bytes.
        tegra: Whether it is a Jetson.
    """

    host: str
    python: tuple[int, int, int]
    machine: str
    libc: tuple[str, str]
    root: str
    free: int
    tegra: bool


def device_facts(connection: DeviceConnection, *, target: str | None = None) -> DeviceFacts:
    """Returns the facts of a device on which EdgeKit can run.

    Args:
        connection: Connection to the device.
        target: Target of the bundle for it; None if there is no bundle.

    Raises:
        HostError: EdgeKit, or the bundle, cannot run there.
    """
    host, answer = connection.host, connection.ask("facts", FactsAnswer)
    if answer.system != "Linux" or answer.machine not in _MACHINES:
        raise HostError(
            f"Expected {host} to be Linux on {', '.join(_MACHINES)}; found {answer.system} on "
            f"{answer.machine}.",
            hint="No packages of EdgeKit exist for it. Choose another device.",
        )
    if answer.bits != (32 if answer.machine == "armv7l" else 64):
        raise HostError(
            f"Expected a Python of 64 bits on {host}; found one of {answer.bits}.",
            hint="Install a 64-bit system on the device.",
        )
    if not answer.venv:
        raise HostError(
            f"Expected Python's module venv on {host}; found none.",
            hint="Install it on the device: sudo apt install python3-venv",
        )
    if answer.unwritable:
        raise HostError(
            f"Expected {host} to let its user {answer.user} write in the home folder; found "
            f"{answer.unwritable}.",
            hint=f"Check the mount and the permissions: ssh {host} 'df ~; ls -ld ~'",
        )
    _check_clock(host, answer.time)
    if target == "jetson" and not answer.tegra:
        raise HostError(
            f"Expected a Jetson for a bundle of the target jetson; {host} is {answer.node}, "
            f"{answer.machine} without /etc/nv_tegra_release.",
            hint="Export a bundle for this device: edgekit export --target onnx",
        )
    return DeviceFacts(
        host=host,
        python=answer.python,
        machine=answer.machine,
        libc=answer.libc,
        root=answer.root,
        free=answer.free,
        tegra=answer.tegra,
    )


def check_space(facts: DeviceFacts, needed: int) -> None:
    """Raises ``HostError`` if a device has less free space than is needed.

    Args:
        facts: Facts of the device.
        needed: Needed space in bytes.
    """
    if facts.free < needed:
        raise HostError(
            f"Expected {needed / 1e6:.0f} MB free in {facts.root} on {facts.host}; found "
            f"{facts.free / 1e6:.0f} MB.",
            hint=f"Make room there: ssh {facts.host} 'df -h ~'",
        )


def _check_clock(host: str, there: float) -> None:
    if abs(there - time.time()) > _MOST_SECONDS_OFF:
        shown = f"{there:g} s since 1970"
        with contextlib.suppress(ValueError, OverflowError, OSError):  # no calendar has this date
            shown = time.strftime("%Y-%m-%d", time.gmtime(there))
        raise HostError(
            f"Expected the clock of {host} to show {time.strftime('%Y-%m-%d', time.gmtime())}; "
            f"it shows {shown}. Events, logs and signatures would have wrong times.",
            hint=f"Set it: ssh {host} sudo date -u -s @$(date +%s)",
        )
