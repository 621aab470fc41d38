"""Reads all pictures of one file: the frames of an animated WebP, or the pages of a TIFF."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

from edgekit._locking import one_at_a_time
from edgekit.errors import MediaError
from edgekit.media._opencv import cv2
from edgekit.media.sources.pictures import _formats as formats
from edgekit.media.sources.pictures._decoder import (
    PictureDecoder,
    UnreadableError,
    animation_frames,
)
from edgekit.media.sources.pictures._tiff import is_tiff, tiff_pages
from edgekit.media.sources.source import DEFAULT_FPS, Source, name_of
from edgekit.runtime.types import Frame
from edgekit.system.leaving import inside_or_end

__all__ = ["PagesSource"]

_LOG = logging.getLogger(__name__)
_AT_ONCE = 1 << 26
"""Bytes of frames decoded together, because OpenCV starts at the first frame each time."""

_MOST_SKIPPED = 100
"""Largest number of pictures that are skipped one after another; then the file ends."""

_SHORTEST, _INSTEAD = 0.01, 0.1
"""Longest duration in seconds that browsers ignore, and the duration that they use instead."""


# Many attributes: those that every source has, and what is known of the file's pages.
class PagesSource(Source):
    """All pictures of a file, in order.

    Frames of an animation keep its times; pages follow each other 25 times per second. A page that
    cannot be read is skipped with a warning; its index is left out. After 100 such pages in a row,
    the rest of the file is left out.

    Args:
        path: File that ``can_read`` accepts.
        content: Bytes of the file.

    Raises:
        MediaError: None of the pictures can be read.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self.name = name_of(path)
        self._content = content
        self._decoder = PictureDecoder(self.name)
        delays = formats.webp_delays(content) if formats.is_webp(content) else []
        delays = [delay if delay > _SHORTEST else _INSTEAD for delay in delays]
        self._pages = [page for page in tiff_pages(content) if not page.extra] if not delays else []
        count = len(delays) or len(self._pages)
        self.fps = count / sum(delays) if delays else DEFAULT_FPS
        self._times = [0.0, *itertools.accumulate(delays)] if delays else []
        self.frames = count
        self._decoded: dict[int, Any] = {}
        self._problem = UnreadableError("it is empty")
        self._first = None
        if not formats.is_webp(content) or self._is_whole():
            self._first = self._advance()
        if self._first is None:
            raise MediaError(
                f"None of the {count} pictures in {self.name} can be read: {self._problem}.",
                hint=self._problem.hint,
            )
        self.height, self.width = self._first.image.shape[:2]

    @staticmethod
    def can_read(content: bytes) -> bool:
        """Returns whether this OpenCV can read more than the first picture of the file."""
        if formats.is_webp(content):
            return hasattr(cv2, "imdecodeanimation")
        return is_tiff(content) and hasattr(cv2, "imdecodemulti")

    @one_at_a_time
    @inside_or_end()
    def read(self) -> Frame | None:
        """Returns the next readable picture, or None after the last."""
        frame, self._first = self._first, None
        return frame if frame is not None else self._advance()

    def close(self) -> None:
        """Ends the source: nothing more is read."""
        self._first, self.frames = None, self.position
        self._content, self._decoded = b"", {}

    def _advance(self) -> Frame | None:
        gap, skipped = "", 0
        while self.position < (self.frames or 0) and skipped < _MOST_SKIPPED:
            index = self.position
            self.position += 1
            try:
                image = self._picture(index)
            except UnreadableError as error:
                self._problem, gap, skipped = error, "dropped", skipped + 1
                _LOG.warning("Skipped picture %d of %s: %s.", index + 1, self.name, error)
                continue
            time = self._times[index] if self._times else index / self.fps
            return Frame(index, time, image, gap)
        return None

    def _is_whole(self) -> bool:
        fault = formats.webp_fault(self._content)
        if fault:
            self._problem = UnreadableError(fault)
        return not fault

    def _picture(self, index: int) -> Any:
        if self._pages:
            return self._decoder.page(self._content, self._pages[index])
        if index not in self._decoded:
            self._decoded = dict(enumerate(animation_frames(self._content, index, _AT_ONCE), index))
        if index not in self._decoded:
            raise UnreadableError("it is truncated or damaged")
        return self._decoded[index]
