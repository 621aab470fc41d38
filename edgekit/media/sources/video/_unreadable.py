"""Turns PyAV's errors about a file or stream into a reason in words."""

from __future__ import annotations

import errno
from typing import Any

__all__ = ["NO_PARTS", "ONLY_A_FILE", "Unreadable", "no_data", "reason_of"]

NO_PARTS = (
    "the index of this MP4 comes after its pictures, and the server sends files only from their "
    "beginning on (no range requests); write it with the index first (ffmpeg -i FILE -c copy "
    "-movflags +faststart OUT), or download it"
)

ONLY_A_FILE = (
    "it is a picture with several pages or more than 8 bits, or of a format that EdgeKit reads "
    "only from a file; download it (curl -O ADDRESS)"
)


class Unreadable(Exception):
    """A file or stream cannot be read. PyAV's own error text would contain the password.

    Attributes:
        reason: Reason as a clause, for use after a colon.
        kind: ``sound`` if there is only sound, ``codec`` if the video cannot be decoded, ``key`` if
            no key frame arrives; else empty.
    """

    def __init__(self, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


def no_data(patience: float) -> str:
    """Returns the reason that nothing came for ``patience`` seconds."""
    return f"none came for {patience:g} seconds"


def reason_of(error: BaseException, errors: Any, patience: float, *, connects: bool) -> str:
    """Returns why FFmpeg failed, as a clause for use after a colon.

    Args:
        error: Error that PyAV raised.
        errors: The module ``av.error``.
        patience: Longest wait in seconds, which FFmpeg reports as an error of its own.
        connects: Whether this is a network connection that has given nothing so far.
    """
    reasons = {
        (errors.ExitError, errors.TimeoutError): no_data(patience),
        (errors.HTTPUnauthorizedError,): "the server wants another name or password (401)",
        (errors.HTTPForbiddenError,): "the server does not allow it (403)",
        (errors.HTTPNotFoundError,): "the server has nothing at that address (404)",
        (errors.ConnectionRefusedError,): "the connection was refused: nothing listens there",
        (errors.HTTPServerError,): "the server reports an error of its own (5xx)",
        (errors.InvalidDataError,): "the server does not send a stream that FFmpeg knows",
    }
    for kinds, reason in reasons.items():
        if isinstance(error, kinds):
            return reason
    said = getattr(error, "strerror", None) or type(error).__name__
    may_be_unknown = connects and getattr(error, "errno", None) == errno.EIO
    return f"FFmpeg says '{said}'{'; an unknown host says so too' if may_be_unknown else ''}"
