"""Deploys to several devices at a time, shows what they run, and rolls them back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import NoneType
from typing import TypeVar

from edgekit.bundle import Bundle
from edgekit.bundle.signing.public_keys import read_public_keys
from edgekit.deploy.answers import ReleaseAnswer, ServiceAnswer, VerdictAnswer
from edgekit.deploy.content import bundle_content
from edgekit.deploy.deployment import Deployment, holder
from edgekit.deploy.options import DeployOptions
from edgekit.deploy.results import HostResult, HostStatus
from edgekit.deploy.ssh import DeviceConnection
from edgekit.deploy.wheels import Wheelhouse
from edgekit.errors import EdgeKitError, HostError
from edgekit.files.output_paths import temporary_folder
from edgekit.targets.bundle_choice import take

__all__ = ["Hosts", "deploy", "read_status", "roll_back"]

T = TypeVar("T")

_MOST_AT_A_TIME = 16
_MOST_SERVICES = 1000

Note = Callable[[str, str], None]
"""Is called with the name of a device and a line about its progress, from any thread."""


class Hosts:
    """Connections to several devices at a time.

    Args:
        names: Names of the devices for ``ssh``.
        python: Name of the Python program on the devices.
        note: Function that is called with the progress; by default it is not reported.
    """

    def __init__(
        self, names: Sequence[str], *, python: str = "python3", note: Note | None = None
    ) -> None:
        self._names = names
        self._python = python
        self._note = note or (lambda host, text: None)
        self._open: set[DeviceConnection] = set()
        self._lock = threading.Lock()

    def map(self, work: Callable[[DeviceConnection], T]) -> list[T | EdgeKitError]:
        """Calls a function with the connection to each device; returns its results or errors.

        A device that fails does not stop the others. An interrupt ends all connections.
        """
        with ThreadPoolExecutor(_MOST_AT_A_TIME) as pool:
            futures = [pool.submit(self._work, name, work) for name in self._names]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                with self._lock:
                    for each in self._open:
                        each.abort()
                raise

    def _work(self, name: str, work: Callable[[DeviceConnection], T]) -> T | EdgeKitError:
        try:
            with DeviceConnection(
                name, python=self._python, on_note=lambda text: self._note(name, text)
            ) as connection:
                with self._lock:
                    self._open.add(connection)
                try:
                    return work(connection)
                finally:
                    with self._lock:
                        self._open.discard(connection)
        except EdgeKitError as error:
            return error


def deploy(options: DeployOptions, note: Note) -> list[HostResult]:
    """Deploys a bundle to devices; returns the result of each.

    Args:
        options: Options of the deployment.
        note: Function that is called with the progress.

    Raises:
        BundleError: The bundle is invalid, or not signed as required.
        BadInputError: The folder of wheels has none, or the file of public keys cannot be used.
    """
    bundle = take(
        options.bundle,
        what="bundle in artifacts/",
        another="edgekit deploy HOST BUNDLE",
        fits=lambda bundle: True,
        require_signature=options.require_signature,
    )
    keys = read_public_keys(options.require_signature) if options.require_signature else ()
    with temporary_folder() as work:
        wheelhouse = Wheelhouse(options.wheels, work)
        deployment = Deployment(options, bundle, bundle_content(bundle), keys, wheelhouse)
        hosts = Hosts(options.hosts, python=options.python, note=note)
        found = hosts.map(
            lambda connection: deployment.run(connection, lambda text: note(connection.host, text))
        )
    return [
        _failed(host, each, bundle) if isinstance(each, EdgeKitError) else each
        for host, each in zip(options.hosts, found, strict=True)
    ]


def roll_back(options: DeployOptions, note: Note) -> list[HostResult]:
    """Puts the release before the current one on trial on each device; returns the results.

    Args:
        options: Options; the bundle is not read.
        note: Function that is called with the progress.
    """

    def work(connection: DeviceConnection) -> HostResult:
        connection.ask("lock", NoneType, holder=holder())
        current = connection.ask("current", ReleaseAnswer, name=options.name)
        earlier = connection.ask("earlier", ReleaseAnswer, name=options.name)
        if earlier.number is None:
            raise HostError(
                f"Expected {connection.host} to have a release before the current one of the "
                f"service {options.name}; found none.",
                hint=f"See what it runs: edgekit deploy --status {connection.host}",
            )
        connection.ask("keep_keys", NoneType, name=options.name, number=earlier.number)
        note(connection.host, f"Going back to release {earlier.number}")
        verdict = connection.ask(
            "switch",
            VerdictAnswer,
            name=options.name,
            number=earlier.number,
            kind=earlier.service,
            seconds=options.watch,
        )
        return HostResult(
            connection.host,
            outcome="deployed" if verdict.passed else "rolled back",
            release=(earlier if verdict.passed else current).number,
            bundle=earlier.bundle,
            sha256=earlier.sha256,
            rate=verdict.rate,
            state=verdict.words,
        )

    hosts = Hosts(options.hosts, python=options.python, note=note)
    return [
        _failed(host, each) if isinstance(each, EdgeKitError) else each
        for host, each in zip(options.hosts, hosts.map(work), strict=True)
    ]


def read_status(options: DeployOptions) -> list[HostStatus]:
    """Returns what each device runs: one entry for each service, or one with an error.

    Args:
        options: Options; of them only devices and Python are read.
    """

    def work(connection: DeviceConnection) -> list[HostStatus]:
        found = connection.ask("status", list[ServiceAnswer])
        listed = [
            HostStatus(
                connection.host,
                service=each.name,
                release=each.number,
                bundle=each.bundle,
                sha256=each.sha256,
                edgekit=each.edgekit,
                deployed=each.created,
                level=each.level,
                rate=each.rate,
                state=each.words,
                trial=each.trial,
            )
            for each in found[:_MOST_SERVICES]
        ]
        return listed or [HostStatus(connection.host, state="no deployment")]

    hosts = Hosts(options.hosts, python=options.python)
    listed: list[HostStatus] = []
    for host, each in zip(options.hosts, hosts.map(work), strict=True):
        if isinstance(each, EdgeKitError):
            listed.append(HostStatus(host, error=each.message, hint=each.hint))
        else:
            listed += each
    return listed


def _failed(host: str, error: EdgeKitError, bundle: Bundle | None = None) -> HostResult:
    name, sha256 = (bundle.manifest.name, bundle.sha256) if bundle else ("", "")
    return HostResult(host, bundle=name, sha256=sha256, state=error.message, hint=error.hint)
