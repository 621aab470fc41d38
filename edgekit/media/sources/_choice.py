"""Which of several video streams is read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

__all__ = ["choose"]

_LOG = logging.getLogger(__name__)
_DEFAULT = 0x1
_ATTACHED_PICTURE = 0x400
_TIMED_THUMBNAILS = 0x800


def choose(streams: Sequence[Any], name: str) -> Any | None:
    """The stream that is marked as the default, else the largest; None where there is no video.

    Cover pictures and thumbnails are no video. Where there was a choice, a line says what was
    taken.

    Args:
        streams: The video streams of PyAV.
        name: Name of the source, for people.
    """
    covers = _ATTACHED_PICTURE | _TIMED_THUMBNAILS
    videos = [stream for stream in streams if not int(stream.disposition) & covers]
    if not videos:
        return None
    chosen = max(videos, key=_rank)
    if len(videos) > 1:
        _LOG.warning(
            "%s has %d video streams; number %d of them (%s) is read.",
            name,
            len(videos),
            1 + videos.index(chosen),
            _words(chosen),
        )
    return chosen


def _rank(stream: Any) -> tuple[bool, bool, int]:
    context = stream.codec_context
    size = context.width * context.height if context is not None else 0
    return context is not None, bool(int(stream.disposition) & _DEFAULT), size


def _words(stream: Any) -> str:
    context = stream.codec_context
    if context is None:
        return "of a codec that is not known"
    return f"{context.width}x{context.height}, {context.codec.canonical_name}"
