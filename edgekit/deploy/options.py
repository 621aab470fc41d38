"""Defines the options of a deployment, checked when they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_types, keep_paths
from edgekit._parameters import argument, parameter
from edgekit.deploy.choices import SERVICES, ServiceKind
from edgekit.deploy.ssh import check_hosts
from edgekit.errors import UsageError
from edgekit.targets.bundle_choice import Named

__all__ = ["DeployOptions", "ServiceOptions"]


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Values in the options file of a run that a deployment needs.

    Attributes:
        text: Content of the file; it may contain passwords.
        extras: Extras of EdgeKit that the options need.
        health: Address of the health page on the device; empty if none is served.
    """

    text: str
    extras: tuple[str, ...]
    health: str

    def __repr__(self) -> str:
        return f"ServiceOptions(extras={self.extras}, health={self.health!r})"


# Many attributes: one for each option of the command, as users know them.
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOptions:
    """Options of a deployment.

    Attributes:
        hosts: Names of the devices for ``ssh``.
        bundle: Bundle to deploy.
        require_signature: File of public keys on this machine, one of which must have signed the
            bundle; None for no check.
        service_options: Content of the options file of the service; None to keep the options that
            a device has.
        name: Name of the service.
        service: Kind of the service.
        wheels: Folder of wheels to install from; None to download them.
        python: Name of the Python program on the devices.
        watch: Seconds for which a new release is watched before it is kept.
        bench_frames: Number of frames to measure on each device before the switch; 0 for none.

    Raises:
        UsageError: An option has a value of the wrong type or is out of range.
    """

    hosts: tuple[str, ...]
    bundle: Named = None
    require_signature: str | Path | None = None
    service_options: ServiceOptions | None = None
    name: str = "edgekit"
    service: ServiceKind = "user"
    wheels: Path | None = None
    python: str = "python3"
    watch: float = 60.0
    bench_frames: int = 30

    def __post_init__(self) -> None:
        keep_paths(self, "require_signature")
        check_types(self)
        check_choice("service", self.service, SERVICES)
        check_range("watch", self.watch, 1)
        check_range("bench_frames", self.bench_frames, 0)
        if 0 < self.bench_frames < 10:
            raise UsageError(
                f"Expected {parameter('bench_frames')} to be 0, or at least 10; found "
                f"{self.bench_frames}."
            )
        if not self.hosts:
            raise UsageError(
                f"Expected the name of a device; {argument('host')} was not given.",
                hint="For example: edgekit deploy pi@camera-1 artifacts/BUNDLE",
            )
        check_hosts(argument("host"), self.hosts)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.name):
            raise UsageError(
                f"Expected {parameter('name')} to have letters, digits, - and _ only; found "
                f"{self.name!r}.",
                hint=f"For example: {parameter('name', 'edgekit-door')}",
            )
