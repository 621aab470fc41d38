"""What the readers of network streams say."""

from __future__ import annotations

import logging

from edgekit.errors import MediaError
from edgekit.media.source import Source

__all__ = ["no_picture", "say_ended"]

_LOG = logging.getLogger(__name__)


def no_picture(name: str, reason: str, *, mend: str = "") -> MediaError:
    """The error for a stream that gives no picture.

    Args:
        name: Of the stream, without secrets.
        reason: As it goes on after a colon.
        mend: A line more about what to do.
    """
    check = (
        "Check the address, the name and password in it, and the network; in a password "
        "write @ as %40, / as %2F, ? as %3F, # as %23 and % as %25."
    )
    return MediaError(
        f"No picture comes from {name}: {reason}.", mend=f"{check}\n{mend}" if mend else check
    )


def say_ended(source: Source) -> None:
    """Warns of a file that broke off on its way; that a live stream ended is only noted."""
    # Some containers only estimate their length, so that one frame says nothing.
    if source.frames is not None and source.position < source.frames - 1:
        _LOG.warning(
            "%s broke off: %d of its %d frames came.", source.name, source.position, source.frames
        )
    else:
        _LOG.info("%s ended after %d frames.", source.name, source.position)
