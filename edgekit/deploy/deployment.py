"""Deploys a bundle to one device, step by step."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType

import edgekit
from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.bundle.signing.public_keys import PublicKey, parse_public_keys
from edgekit.bundle.signing.verification import check_signed_by
from edgekit.deploy.answers import BenchAnswer, DoctorAnswer, ReleaseAnswer, VerdictAnswer
from edgekit.deploy.content import Content, send_content
from edgekit.deploy.device_facts import DeviceFacts, check_space, device_facts
from edgekit.deploy.on_device.facts import user_name
from edgekit.deploy.options import DeployOptions
from edgekit.deploy.remote_edgekit import run_there
from edgekit.deploy.results import HostResult
from edgekit.deploy.ssh import DeviceConnection
from edgekit.deploy.wheels import Wheelhouse, WheelSet
from edgekit.errors import HostError
from edgekit.targets.registry import TARGETS, extras_of

__all__ = ["Deployment", "holder"]

_UNPACKED = 4
"""Bytes of an environment for each byte of its wheels, at most."""

_SPARE = 50_000_000


@dataclass(frozen=True, slots=True)
class Deployment:
    """A bundle and what its service needs, for any number of devices.

    Attributes:
        options: Options of the deployment.
        bundle: Bundle to deploy.
        content: Its files.
        keys: Public keys, one of which has to have signed each bundle of the service from now on;
            empty to keep what a device requires.
        wheelhouse: Wheels for the devices.
    """

    options: DeployOptions
    bundle: Bundle
    content: Content
    keys: Sequence[PublicKey]
    wheelhouse: Wheelhouse

    def run(self, connection: DeviceConnection, note: Callable[[str], None]) -> HostResult:
        """Deploys to one device, which keeps its current release unless the new one does well.

        Args:
            connection: Connection to the device.
            note: Function that is called with each step.

        Raises:
            HostError: A step failed. The device runs what it ran before.
        """
        began, options, name = time.monotonic(), self.options, self.options.name
        target = self.bundle.manifest.target
        facts = device_facts(connection, target=target)
        connection.ask("lock", NoneType, holder=holder())
        if options.service != "none":
            connection.ask("check_service", NoneType, kind=options.service, name=name)
        current = connection.ask("current", ReleaseAnswer, name=name)
        self._check_kind(connection.host, current)
        keys = self._keys(connection)
        extras, health = self._needs(connection.host, current, signed=keys is not None)
        wheels, environment_size = self._wheels(connection, facts, extras, note)
        check_space(facts, environment_size + self.content.size + _SPARE)
        copied = self._install(connection, wheels, note) if environment_size else 0
        note(f"Copying the bundle, {self.content.size / 1e6:.1f} MB, unless it is there")
        path, sent = send_content(connection, self.content)
        self._check_target(connection, wheels.key)
        if target == "jetson":
            note("Building the engine")
            run_there(connection, ["build", path], dict[str, object], environment=wheels.key)
        result = HostResult(
            connection.host,
            release=current.number,
            bundle=self.bundle.manifest.name,
            sha256=self.bundle.sha256,
            copied=copied + sent,
        )
        given = options.service_options
        number = connection.ask(
            "release",
            int,
            name=name,
            facts=self._facts(connection, wheels.key, extras, health),
            options=given.text if given else None,
            keys=keys,
            bundle=self.content.digest,
            venv=wheels.key,
        )
        if connection.ask("drop_if_current", bool, name=name, number=number):
            result.outcome, result.state = "unchanged", "it runs this release already"
        else:
            if options.bench_frames:
                result.milliseconds = self._measure(connection, path, wheels.key, note)
            self._switch(connection, number, result, note)
        result.seconds = round(time.monotonic() - began, 1)
        return result

    def _check_kind(self, host: str, current: ReleaseAnswer) -> None:
        """Raises if another service manager starts the service: both would then run."""
        name, kind = self.options.name, self.options.service
        if current.service in ("none", kind):
            return
        raise HostError(
            f"Expected {parameter('service', current.service)} for the service {name} of {host}, "
            f"as for its release {current.number}; found {parameter('service', kind)}. The "
            "earlier service would go on beside it.",
            hint=f"Use {parameter('service', current.service)}, or another {parameter('name')}. To "
            "change the kind, remove the service first: docs/deploy.md",
        )

    def _keys(self, connection: DeviceConnection) -> str | None:
        """Returns the public keys of the new release; None if it requires no signature.

        Raises:
            SignatureError: No key of the current release signed the bundle.
        """
        place, there = connection.ask("keys", tuple[str, str | None], name=self.options.name)
        if there is not None:
            file = f"{connection.host}:{place}"
            allowed = parse_public_keys(there.encode(), file)
            check_signed_by(self.bundle.path, self.bundle.sha256, allowed, file)
        lines = [f"{each.line} {each.comment}".rstrip() for each in self.keys]
        return "".join(f"{line}\n" for line in lines) or there

    def _needs(
        self, host: str, current: ReleaseAnswer, *, signed: bool
    ) -> tuple[tuple[str, ...], str]:
        """Returns the extras that a device needs, and the address of its health page."""
        given = self.options.service_options
        if given is None:
            if current.number is None:
                raise HostError(
                    f"Expected {host} to have a deployment whose options can be kept; found none.",
                    hint="Name the options of the service: "
                    f"{parameter('config', 'FILE')}. docs/deploy.md shows a file.",
                )
            extras, health = set(current.extras), current.health
        else:
            extras, health = set(given.extras), given.health
        extras -= extras_of(TARGETS.own)  # those of an earlier bundle
        extras |= extras_of([self.bundle.manifest.target])
        if self.options.service != "none":
            extras.add("systemd")
        if signed:
            extras.add("sign")
        return tuple(sorted(extras)), health

    def _facts(
        self, connection: DeviceConnection, key: str, extras: tuple[str, ...], health: str
    ) -> dict[str, object]:
        """Returns the facts to keep about the release, as the device names them."""
        service, manifest = self.options.service, self.bundle.manifest
        missing = connection.ask("python", int, key=key, code="import cysystemd")
        return {
            "bundle": manifest.name,
            "sha256": self.bundle.sha256,
            "target": manifest.target,
            "edgekit": edgekit.__version__,
            "extras": list(extras),
            "health": health,
            "service": service,
            "notifies": service != "none" and not missing,
        }

    def _wheels(
        self,
        connection: DeviceConnection,
        facts: DeviceFacts,
        extras: tuple[str, ...],
        note: Callable[[str], None],
    ) -> tuple[WheelSet, int]:
        """Returns the wheels, and the space that an environment needs; 0 if it is there."""
        note("Collecting wheels")
        wheels = self.wheelhouse.wheels_for(facts, extras)
        if connection.ask("has_environment", bool, key=wheels.key):
            return wheels, 0
        return wheels, (1 + _UNPACKED) * wheels.size

    def _install(
        self, connection: DeviceConnection, wheels: WheelSet, note: Callable[[str], None]
    ) -> int:
        """Makes the environment; returns the number of bytes that were sent."""
        note(f"Copying wheels, {wheels.size / 1e6:.1f} MB, as far as they are not there")
        sent = sum(send_content(connection, each)[1] for each in wheels.contents)
        note("Installing EdgeKit")
        connection.ask(
            "install",
            NoneType,
            key=wheels.key,
            wheels=[(each.digest, next(iter(each.sources))) for each in wheels.contents],
            requirement=wheels.requirement,
            system_packages=self.bundle.manifest.target == "jetson",
        )
        return sent

    def _check_target(self, connection: DeviceConnection, key: str) -> None:
        target = self.bundle.manifest.target
        report = run_there(connection, ["doctor"], DoctorAnswer, environment=key)
        for each in report.targets:
            if each.name == target and not each.runs:
                raise HostError(
                    f"Expected {connection.host} to run bundles of the target {target}; it lacks "
                    f"{', '.join(each.missing)}.",
                    hint="; ".join(each.install) or "Export a bundle for another target.",
                )

    def _measure(
        self, connection: DeviceConnection, path: str, key: str, note: Callable[[str], None]
    ) -> float:
        """Returns the median time of a frame on the device, in milliseconds."""
        note("Measuring")
        short = {"frames": self.options.bench_frames, "rounds": 1}
        report = run_there(connection, ["bench", path], BenchAnswer, short, environment=key)
        times = [row.result.overall.p50 for row in report.rows if row.result]
        if not times:
            reasons = [row.error.message for row in report.rows if row.error]
            reason = next(iter(reasons), "it gives no reason")
            raise HostError(f"{connection.host} cannot run the bundle: {reason}")
        return min(times)

    def _switch(
        self,
        connection: DeviceConnection,
        number: int,
        result: HostResult,
        note: Callable[[str], None],
    ) -> None:
        """Puts a release on trial, and writes what came of it to the result."""
        options = self.options
        if options.service != "none":
            note(f"Release {number} is on trial for {options.watch:g} s")
        verdict = connection.ask(
            "switch",
            VerdictAnswer,
            name=options.name,
            number=number,
            kind=options.service,
            seconds=options.watch,
        )
        result.state, result.rate = verdict.words, verdict.rate
        result.outcome = "deployed" if verdict.passed else "rolled back"
        if verdict.passed:
            result.release = number
            connection.ask("tidy", NoneType)
        else:
            result.hint = f"See its log: ssh {connection.host} {_journal(options)}"


def holder() -> str:
    """Returns who deploys, for others who try it meanwhile."""
    return f"{user_name()}@{socket.gethostname()}, process {os.getpid()}"


def _journal(options: DeployOptions) -> str:
    flag = "--user-unit" if options.service == "user" else "--unit"
    return f"journalctl {flag} {options.name} -n 50"
