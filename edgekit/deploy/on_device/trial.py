"""Puts a release on trial in place of the current one, and keeps it or goes back.

While a release is on trial, a transient file changes what the unit runs. Transient files vanish
when the device restarts, so that after a power cut it runs the current release again. A release
becomes the current one only after it has passed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

from edgekit.deploy.on_device.connection import DeviceError, HungUpError, WorkstationConnection
from edgekit.deploy.on_device.releases import Releases
from edgekit.deploy.on_device.service import Health, Service
from edgekit.deploy.on_device.unit import trial_text, unit_text

__all__ = ["TrialResult", "end_trial", "is_on_trial", "try_release"]

_STEP = 1.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_START = 60.0
"""Seconds after which a release on trial has to be as healthy as the one before."""

_LONGEST_ILLNESS = 20.0
"""Seconds for which a release that was as healthy may be less so, before the trial ends."""


class TrialResult(NamedTuple):
    """Result of a trial.

    Attributes:
        passed: Whether the release is now the current one.
        words: Reason, or description of its health.
        rate: Frames per second at the end; None if it is unknown.
    """

    passed: bool
    words: str
    rate: float | None


def is_on_trial(service: Service) -> bool:
    """Returns whether a release is on trial now, or an earlier trial has not ended."""
    return service.trial_path.exists()


def end_trial(service: Service, releases: Releases) -> None:
    """Goes back from a release on trial to the current one."""
    service.write(service.trial_path, "")
    if releases.current() is None:
        with contextlib.suppress(DeviceError):
            service.control("stop", service.unit)
        service.write(service.path, "")
        service.control("daemon-reload")
        return
    _restart(service)


def try_release(
    service: Service,
    releases: Releases,
    number: int,
    connection: WorkstationConnection,
    *,
    seconds: float,
    user: str,
) -> TrialResult:
    """Runs a release for a while; makes it current if it is as healthy as the one before.

    Args:
        service: Service that runs it.
        releases: Releases of the service.
        number: Number of the release to try.
        connection: Connection to the workstation. If it closes, the trial has failed.
        seconds: Duration of the trial.
        user: User of a system service; empty for a service of the user's own systemd.

    Raises:
        HungUpError: The workstation closed the connection. The current release runs again.
        DeviceError: systemd does not carry out a request. The current release runs again.
    """
    before = None
    if releases.current() is not None:
        before = service.health(releases.facts(releases.current()).get("health", ""))
    notifies = bool(releases.facts(number).get("notifies"))
    signed = bool(releases.facts(number).get("requires_signature"))
    unit = unit_text(
        service.unit.removesuffix(".service"), releases.link, releases.data,
        notifies=notifies, signed=signed, user=user,
    )  # fmt: skip
    with _ending_in_order(), _guarded(service, releases, connection):
        try:
            if not service.path.exists():
                service.write(service.path, unit)
            text = trial_text(number, releases.path(number), notifies=notifies, signed=signed)
            service.write(service.trial_path, text)
            _restart(service)
            address = releases.facts(number).get("health", "")
            verdict = _watch(service, address, before, connection, seconds)
        except BaseException:
            end_trial(service, releases)
            raise
        if not verdict.passed:
            end_trial(service, releases)
            return verdict
        # From here on, the release is the current one, whatever happens.
        releases.switch(number)
        service.write(service.path, unit)
        service.write(service.trial_path, "")
        service.control("daemon-reload")
        service.control("enable", service.unit)
    return verdict


def _restart(service: Service) -> None:
    """Starts the service again, with the files of the unit as they are now."""
    service.control("daemon-reload")
    with contextlib.suppress(DeviceError):  # systemd has forgotten a unit that never ran
        service.control("reset-failed", service.unit)
    service.control("restart", "--no-block", service.unit)


def _watch(
    service: Service,
    address: str,
    before: Health | None,
    connection: WorkstationConnection,
    seconds: float,
) -> TrialResult:
    """Returns the verdict on a release on trial, which gets time to start before it is watched."""
    expected = before or Health("degraded", None, "")
    if expected.level == "dead":
        expected = Health("silent", None, "")
    end, well = time.monotonic() + max(seconds, _LONGEST_START), None
    while True:
        if connection.hung_up():
            raise HungUpError("The workstation closed the connection during the trial.")
        time.sleep(_STEP)
        if reason := _end_of(service):
            return TrialResult(False, f"the service ended by itself: {reason}", None)
        health = service.health(address)
        worse = health.level == "dead" or health.worse_than(expected)
        now = time.monotonic()
        if not worse:
            end, well = end if well else now + seconds, now
        if now >= end or (well and now - well >= _LONGEST_ILLNESS):
            was = f"; before: {before.words}" if worse and before else ""
            return TrialResult(not worse, f"{health.words}{was}", health.rate)


def _end_of(service: Service) -> str:
    """Returns how a service ended that should run; empty if it did not."""
    found = service.show()
    ended = found.get("ActiveState") == "failed" or found.get("SubState") == "auto-restart"
    if not ended and int(found.get("NRestarts") or 0) == 0:
        return ""
    said = service.log().removeprefix("Error: ")
    status = found.get("ExecMainStatus", "0")  # 0 while the next process of the service runs
    words = f"systemd reports {found.get('Result')}"
    return said or (words if status == "0" else f"{words}, exit status {status}")


@contextlib.contextmanager
def _guarded(
    service: Service, releases: Releases, connection: WorkstationConnection
) -> Iterator[None]:
    """Makes another process end the trial if this one is killed, for example for its memory."""
    reading, writing = os.pipe()
    guard = os.fork()
    if guard == 0:
        try:
            os.setsid()
            for each in _ENDING:
                signal.signal(each, signal.SIG_IGN)
            os.close(writing)
            connection.close()
            if not os.read(reading, 1):
                end_trial(service, releases)
        finally:
            os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.write(writing, b".")
        os.close(writing)
        os.waitpid(guard, 0)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """Makes signals that end a process raise an exception, so that a trial is ended."""

    def end(number: int, frame: object) -> None:
        raise HungUpError(f"The program on the device was ended by signal {number}.")

    earlier = {each: signal.signal(each, end) for each in _ENDING}
    try:
        yield
    finally:
        for each, handler in earlier.items():
            signal.signal(each, handler)
