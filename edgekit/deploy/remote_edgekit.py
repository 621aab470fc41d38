"""Runs commands of EdgeKit on a device, and reads their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from edgekit.deploy.answers import FailedAnswer, Output
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import HostError

__all__ = ["run_there"]

T = TypeVar("T")


class _Failed(msgspec.Struct, frozen=True):
    error: FailedAnswer = FailedAnswer()


def run_there(
    connection: DeviceConnection,
    words: Sequence[str],
    answer: type[T],
    options: Mapping[str, object] | None = None,
    *,
    environment: str = "",
) -> T:
    """Runs a command of EdgeKit on a device; returns what it prints as JSON.

    Args:
        connection: Connection to the device.
        words: Words of the command after ``edgekit``, without options.
        answer: Type of what it prints.
        options: Values of its options by the name of the parameter: True for a switch, a sequence
            for an option that is repeated; None and False leave an option out.
        environment: Key of the environment on the device; empty for the newest one there, or the
            EdgeKit that a shell finds.

    Raises:
        HostError: The command failed, prints another type, or there is no EdgeKit on the device.
    """
    whole = [*words, *_flags({**(options or {}), "json": True})]
    done = connection.ask("edgekit", Output, key=environment, words=whole)
    what = f"edgekit {words[0]} on {connection.host}"
    try:
        found = json.loads(done.out)
    except (ValueError, RecursionError):
        last = (done.errors.strip().splitlines() or ["it said nothing"])[-1]
        raise HostError(
            f"Expected {what} to print its result; it ended with status {done.status}: "
            f"{last:.2000}",
            hint=f"Try it there: ssh {connection.host} {done.program} {words[0]} --help",
        ) from None
    if done.status:
        error = connection.checked(found, _Failed).error
        raise HostError(f"{what} failed: {error.message:.2000}", hint=f"{error.hint:.2000}")
    return connection.checked(found, answer)


def _flags(options: Mapping[str, object]) -> list[str]:
    found = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            found.append(flag)
        elif value is not None and value is not False:
            for each in value if isinstance(value, list | tuple) else (value,):
                found += [flag, str(each)]
    return found
