"""Reads status messages of devices, which anybody who may publish on the broker can send."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgekit._printable import printable

__all__ = ["MOST_BYTES", "BundleName", "StatusMessage", "parse_status", "shortened"]

MOST_BYTES = 16384
"""Size of a message, in bytes, above which it is no status message."""

_LONGEST = 200
_MOST_FAILING = 20
_LARGEST = 1e7
"""Largest number that a device can mean; NaN is not below it."""

_SLOWEST, _FASTEST = 1.0, 3600.0


class BundleName(msgspec.Struct, frozen=True, kw_only=True):
    """Bundle of a device.

    Attributes:
        name: Name of the bundle.
        sha256: SHA-256 of its manifest.
    """

    name: str = ""
    sha256: str = ""


# Many attributes: one for each key of the JSON, which docs/events.md describes.
class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Status of one source of a run, as ``run --mqtt`` publishes it.

    Every text is printable and short, and every number is from 0 to 10 million.

    Attributes:
        state: Whether the run is connected to the broker.
        reason: Reason why it is not: ``ended``, ``failed`` or ``lost``.
        error: Error that ended the run; None without one.
        run: Identifier of the run.
        source: Name of the source.
        date: Date and time of the message by the clock of the device.
        host: Host name of the device.
        edgekit: Version of EdgeKit.
        bundle: Bundle that runs.
        target: Target of the bundle.
        precision: Precision of the bundle.
        runtime: Name of the inference runtime.
        runtime_version: Version of the inference runtime.
        health: State of the source: ``ok``, ``starting``, ``stalled``, ``lost``, ``ended`` or
            ``failed``.
        rate: Processed frames per second.
        age: Median age of the frames at inference, in milliseconds.
        taken: Share of the frames of the source that were processed, from 0 to 1.
        failing: Names of outputs that fail.
        refused: Reason why the newest bundle was refused; None if none was.
        every: Seconds until the next message.
    """

    state: Literal["online", "offline"]
    reason: str = ""
    error: str | None = None
    run: str
    source: str = ""
    date: str = ""
    host: str = ""
    edgekit: str = ""
    bundle: BundleName = BundleName()
    target: str = ""
    precision: str = ""
    runtime: str = ""
    runtime_version: str = ""
    health: str = ""
    rate: float | None = None
    age: float | None = None
    taken: float | None = None
    failing: tuple[str, ...] = ()
    refused: str | None = None
    every: float = 10.0


_DECODER = msgspec.json.Decoder(StatusMessage)


def parse_status(payload: bytes) -> StatusMessage | None:
    """Returns a status message that is safe to show; None if the payload is none."""
    if len(payload) > MOST_BYTES:
        return None
    try:
        found = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not found.run:
        return None
    values: dict[str, Any] = {
        name: _safe(getattr(found, name)) for name in found.__struct_fields__ if name != "state"
    }
    every = min(max(values["every"] or 0.0, _SLOWEST), _FASTEST)
    return msgspec.structs.replace(found, **{**values, "every": every})


def shortened(text: str) -> str:
    """Returns text without control characters, of at most 200 characters."""
    # Text of a peer is cut before it is escaped, because escapes are longer.
    return printable(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, float):
        return value if 0 <= value <= _LARGEST else None
    if isinstance(value, BundleName):
        return BundleName(name=shortened(value.name), sha256=shortened(value.sha256))
    return tuple(map(shortened, value[:_MOST_FAILING])) if isinstance(value, tuple) else value
