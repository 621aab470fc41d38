"""Builds the messages of the readers of files and streams."""

from __future__ import annotations

import logging
import math

from edgekit._parameters import parameter
from edgekit.errors import MediaError
from edgekit.media.sources.source import Source

__all__ = ["broken_off", "no_key_frame", "no_picture", "say_damage", "say_ended"]

_LOG = logging.getLogger(__name__)


def no_picture(name: str, reason: str, *, hint: str = "") -> MediaError:
    """Returns the error for a stream that gives no picture.

    Args:
        name: Name of the stream, without secrets.
        reason: Reason as a clause, for use after a colon.
        hint: Further advice on its own line.
    """
    check = (
        "Check the address, the name and password in it, and the network; in a password "
        "write @ as %40, / as %2F, ? as %3F, # as %23 and % as %25."
    )
    return MediaError(
        f"No picture comes from {name}: {reason}.", hint=f"{check}\n{hint}" if hint else check
    )


def broken_off(source: Source, reason: str) -> MediaError:
    """Returns the error for a stream or a recording on a server that gives no further picture.

    Args:
        source: Source whose connection failed; without a picture so far, it is ``no_picture``.
        reason: Reason as a clause, for use after a colon.
    """
    if not source.position:
        return no_picture(source.name, reason)
    return MediaError(
        f"{source.name} broke off after {source.position} frames: {reason}.",
        hint="Check the network and the server.",
    )


def no_key_frame(name: str, seconds: float) -> MediaError:
    """Returns the error for a stream whose video has no key frame."""
    return MediaError(
        f"EdgeKit receives video from {name}, but no key frame arrived within {seconds:g} "
        "seconds. Decoding can start only at a key frame.",
        hint="Set a shorter key frame interval (GOP) in the camera, or "
        f"wait longer: {parameter('patience', math.ceil(2 * seconds))}",
    )


def say_ended(source: Source) -> None:
    """Warns about a recording that ended early; logs the end of a live stream as information."""
    # Some containers only estimate their length, so one missing frame proves nothing.
    if source.frames is not None and source.position < source.frames - 1:
        _LOG.warning(
            "%s ended early: EdgeKit read %d of its %d frames.",
            source.name,
            source.position,
            source.frames,
        )
    else:
        _LOG.info("%s ended after %d frames.", source.name, source.position)


def say_damage(source: Source, *, cut: bool, broken: int) -> None:
    """Warns about a file without its end or with broken pictures; else logs the end of the file.

    Args:
        source: Source at its end.
        cut: Whether the file lacks its end.
        broken: Number of pictures with decoding errors.
    """
    expected = source.frames or 0
    whole = f" of its {expected}" if expected > source.position else ""
    if cut:
        _LOG.warning(
            "%s is truncated: its end is missing; %d%s frames could be decoded.",
            source.name,
            source.position,
            whole,
        )
    if broken > cut:  # a missing end also breaks the last picture
        _LOG.warning(
            "%s is damaged: %d of its pictures could not be decoded without errors. "
            "EdgeKit read %d%s frames.",
            source.name,
            broken,
            source.position,
            whole,
        )
    if not (cut or broken):
        _LOG.info("%s ended after %d frames.", source.name, source.position)
