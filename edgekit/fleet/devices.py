"""Keeps the newest status of every device, and finds devices with a problem."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal, TypeAlias

import msgspec

from edgekit.fleet.messages import StatusMessage, parse_status, shortened

__all__ = ["DeviceReport", "DeviceState", "Fleet"]

DeviceState: TypeAlias = Literal["ok", "starting", "degraded", "stale", "dead", "failed", "ended"]
"""State of a device; docs/fleet.md says when each holds."""

_MOST_DEVICES = 1000
_LATE = 3.0
"""Number of expected messages without which a device is stale."""

_FEW_TAKEN = 0.5
"""Share of processed frames below which a device is degraded."""

_AHEAD = 5.0
_RIVALRY_SECONDS = 60.0
_TROUBLES = {
    "lost": "The source is lost.",
    "stalled": "The source gives no frames.",
}


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """Row of a device in the table.

    Attributes:
        name: Name of the device: its topic below the common prefix.
        state: State in a word.
        reasons: Sentences that give the reasons of a state other than ``ok``.
        seconds: Seconds since its newest message; None if the device's clock is wrong, or if the
            broker had stored that it lost the device, because it does not store when.
        message: Its newest message.
    """

    name: str
    state: DeviceState
    reasons: tuple[str, ...]
    seconds: float | None
    message: StatusMessage

    def to_json(self) -> dict[str, object]:
        """Returns the report as ``edgekit fleet --json`` prints it."""
        fields = msgspec.to_builtins(self.message)
        del fields["state"], fields["reason"]
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return {
            "name": self.name,
            "state": self.state,
            "reasons": self.reasons,
            "seconds_since_message": seconds,
            **fields,
        }


@dataclass(slots=True)
class _Device:
    """A device, as its messages tell.

    Attributes:
        heard: Time at which the newest message was sent, by this machine's monotonic clock; None
            if unknown.
        earlier: Identifiers of earlier runs.
        rival: Host of another device of this name, and the time at which it was noticed.
    """

    message: StatusMessage
    heard: float | None
    earlier: deque[str] = field(default_factory=lambda: deque(maxlen=8))
    rival: tuple[str, float] | None = None


class Fleet:
    """The devices whose status messages were received; not safe for several threads.

    Args:
        clock: Function that returns seconds, such as ``time.monotonic``.

    Attributes:
        foreign: Number of messages that were no status messages.
        surplus: Number of messages of devices beyond the thousandth.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.foreign = 0
        self.surplus = 0
        self._clock = clock
        self._devices: dict[str, _Device] = {}

    def take(self, name: str, payload: bytes, *, retained: bool) -> None:
        """Takes a message.

        Args:
            name: Name of the device, from the topic.
            payload: Content of the message.
            retained: Whether the broker had stored the message, so that it may be old.
        """
        message = parse_status(payload)
        if message is None:
            self.foreign += 1
            return
        name = shortened(name) or message.host or "?"
        heard = self._sent(message) if retained else self._clock()
        device = self._devices.get(name)
        if device is None:
            if len(self._devices) >= _MOST_DEVICES:
                self.surplus += 1
            else:
                self._devices[name] = _Device(message, heard)
            return
        before = device.message
        if heard is None and message.run == before.run:
            heard = device.heard
        if message.run != before.run:
            if message.run in device.earlier:
                if message.state == "offline":
                    return  # the broker noticed late that an earlier run had gone
                if before.state == "online":
                    device.rival = (before.host, self._clock())
            else:
                device.earlier.append(before.run)
        device.message, device.heard = message, heard

    def reports(self) -> list[DeviceReport]:
        """Returns the state of every device, by name."""
        return [self._report(name, self._devices[name]) for name in sorted(self._devices)]

    def _report(self, name: str, device: _Device) -> DeviceReport:
        message = device.message
        seconds = None if device.heard is None else max(0.0, self._clock() - device.heard)
        state: DeviceState = "ok"
        reasons: list[str] = []
        if message.state == "offline":
            state, reasons = _gone(message)
        elif seconds is None or seconds > _LATE * message.every:
            state = "stale"
            old = "Its last message is old, or its clock is wrong."
            reasons = [old if seconds is not None else "Its clock is wrong."]
        elif reasons := self._troubles(device):
            state = "degraded"
        elif message.health == "starting":
            state = "starting"
        return DeviceReport(name, state, tuple(reasons), seconds, message)

    def _troubles(self, device: _Device) -> list[str]:
        message, rival = device.message, device.rival
        found = [_TROUBLES[message.health]] if message.health in _TROUBLES else []
        found += [f"The output {name} fails." for name in message.failing]
        if message.refused is not None:
            found.append(f"It refused a bundle: {message.refused}")
        if message.taken is not None and message.taken < _FEW_TAKEN:
            found.append(f"It processes {100 * message.taken:.0f}% of the frames.")
        if rival is not None and self._clock() - rival[1] < _RIVALRY_SECONDS:
            hosts = " and ".join(sorted({rival[0], message.host}))
            found.append(f"Two runs use this name, on {hosts}.")
        return found

    def _sent(self, message: StatusMessage) -> float | None:
        """Returns when a stored message was sent, by its date; None if that is impossible."""
        if message.reason == "lost":
            return None  # the device wrote it when it connected
        try:
            date = datetime.fromisoformat(message.date)
            seconds = (datetime.now(timezone.utc) - date).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
        return self._clock() - seconds if seconds >= -_AHEAD else None


def _gone(message: StatusMessage) -> tuple[DeviceState, list[str]]:
    """Returns the state of a device that is offline, and its reasons."""
    if message.reason == "ended":
        return "ended", []
    if message.reason == "failed":
        return "failed", [f"An error ended it: {message.error or 'unknown'}"]
    return "dead", ["The broker lost its connection."]
