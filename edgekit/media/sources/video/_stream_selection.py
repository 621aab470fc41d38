"""Selects one of several video streams, and tells whether FFmpeg reads it completely."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

__all__ = ["choose", "is_tiled", "loses_content"]

_LOG = logging.getLogger(__name__)
_DEFAULT = 0x1
_ATTACHED_PICTURE = 0x400
_TIMED_THUMBNAILS = 0x800
_DEPENDENT = 0x80000
_PICTURE = "_pipe"
_PLAIN_PICTURES = frozenset(("bmp_pipe", "jpeg_pipe", "png_pipe"))
"""Formats of pictures that FFmpeg decodes like EdgeKit's own reader of files, up to 8 bits."""


def choose(streams: Sequence[Any], name: str) -> Any | None:
    """Returns the default or else the largest video stream; None if there is no video.

    Cover pictures, thumbnails, tiles of pictures, and single pictures beside longer videos do not
    count as video. If there are several videos, a warning names the selected one.

    Args:
        streams: Video streams of a PyAV container.
        name: Name of the source, for messages.
    """
    covers = _ATTACHED_PICTURE | _TIMED_THUMBNAILS | _DEPENDENT
    videos = [stream for stream in streams if not int(stream.disposition) & covers]
    videos = [stream for stream in videos if stream.frames != 1] or videos
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


def is_tiled(streams: Sequence[Any]) -> bool:
    """Returns whether a file holds one picture in several tiles, as some HEIC and AVIF do."""
    return len(streams) > 1 and all(int(stream.disposition) & _DEPENDENT for stream in streams)


def loses_content(form: str, context: Any) -> bool:
    """Returns whether FFmpeg would leave out pages of a picture, or darken 16-bit values."""
    if not form.endswith(_PICTURE):
        return False
    deep = context.format is not None and context.format.components[0].bits > 8
    return form not in _PLAIN_PICTURES or deep


def _rank(stream: Any) -> tuple[bool, bool, int]:
    context = stream.codec_context
    size = context.width * context.height if context is not None else 0
    return context is not None, bool(int(stream.disposition) & _DEFAULT), size


def _words(stream: Any) -> str:
    context = stream.codec_context
    if context is None:
        return "of a codec that is not known"
    return f"{context.width}x{context.height}, {context.codec.canonical_name}"
