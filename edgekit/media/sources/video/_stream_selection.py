"""Selects one of several video streams."""

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
    """Returns the default or else the largest video stream; None if there is no video.

    Cover pictures and thumbnails do not count as video. If there are several videos, a warning
    names the selected one.

    Args:
        streams: Video streams of a PyAV container.
        name: Name of the source, for messages.
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
