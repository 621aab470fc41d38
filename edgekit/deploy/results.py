"""Holds the result of a deployment on each device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["HostResult", "HostStatus", "Outcome"]

Outcome = Literal["deployed", "unchanged", "rolled back", "failed"]


# Many attributes: one for each key of the JSON that ``edgekit deploy --json`` prints.
@dataclass(slots=True)
class HostResult:
    """Result of a deployment on one device.

    Attributes:
        host: Name of the device for ``ssh``.
        outcome: ``deployed``; ``unchanged``, if it ran the same before; ``rolled back``, if the
            new release did worse and the earlier one runs again; or ``failed``.
        release: Number of the release that the service runs; None if it is unknown.
        bundle: Name of the bundle that was to be deployed.
        sha256: SHA-256 of its manifest.
        milliseconds: Median time of a frame, measured on the device; None if it was not measured.
        rate: Frames per second of the service at the end; None if it is unknown.
        state: Health of the service in words, or the reason of the outcome.
        hint: Advice for the user; empty if there is none.
        copied: Number of bytes that were sent.
        seconds: Duration of the deployment.
    """

    host: str
    outcome: Outcome = "failed"
    release: int | None = None
    bundle: str = ""
    sha256: str = ""
    milliseconds: float | None = None
    rate: float | None = None
    state: str = ""
    hint: str = ""
    copied: int = 0
    seconds: float = 0.0


# Many attributes: one for each key of the JSON that ``edgekit deploy --status --json`` prints.
@dataclass(frozen=True, slots=True)
class HostStatus:
    """State of a service on a device, or the reason why it is unknown.

    Attributes:
        host: Name of the device for ``ssh``.
        service: Name of the service; empty if the device has no deployment.
        release: Number of its current release.
        bundle: Name of its bundle.
        sha256: SHA-256 of the manifest of its bundle.
        edgekit: Version of EdgeKit that it runs.
        deployed: Time when the release was made, in seconds since 1970.
        level: Health: ``ok``, ``degraded``, ``silent``, ``dead``, or empty without a service.
        rate: Frames per second; None if it is unknown.
        state: Health in words.
        trial: Whether another release is on trial now.
        error: Reason why the state is unknown; empty if it is known.
        hint: Advice for the user; empty if there is none.
    """

    host: str
    service: str = ""
    release: int | None = None
    bundle: str = ""
    sha256: str = ""
    edgekit: str = ""
    deployed: int | None = None
    level: str = ""
    rate: float | None = None
    state: str = ""
    trial: bool = False
    error: str = ""
    hint: str = ""
