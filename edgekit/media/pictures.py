"""A folder of pictures as a source."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import MediaError
from edgekit.media._opencv import cv2
from edgekit.media.source import DEFAULT_FPS, Source, name_of
from edgekit.runtime.types import Frame

__all__ = ["PICTURES", "FramesSource", "natural_key"]

PICTURES = frozenset(
    (".bmp", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp", ".jp2")
)
"""Endings of what counts as a picture, in lower case."""

_LOG = logging.getLogger(__name__)
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """A key that sorts as people count: ``frame2`` before ``frame10``, blind to case.

    Names that are then the same (``01`` and ``1``, ``A`` and ``a``) are in their plain order.
    """
    parts = _DIGITS.split(name)
    # Even places hold text and odd ones digits, so that like is only compared with like.
    folded = (int(part) if place % 2 else part.casefold() for place, part in enumerate(parts))
    return tuple(folded), name


class FramesSource(Source):
    """The pictures of a folder in natural order, or one picture.

    A picture that cannot be read is named in a warning and skipped; its index stays empty, so the
    next one has a gap before it.

    Args:
        path: The folder, whose own files count and not those of folders in it; or a picture.
        fps: How fast they are to be played.

    Raises:
        MediaError: There is no picture, or none that can be read.
    """

    def __init__(self, path: Path | str, *, fps: float = DEFAULT_FPS) -> None:
        path = Path(path)
        self.name = name_of(path)
        self.fps = fps
        self._files = _pictures_of(path)
        self.frames = len(self._files)
        self._broken = 0
        self._first = self._advance()
        if self._first is None:
            raise MediaError(
                f"None of the {self.frames} pictures in {path} can be read."
                if path.is_dir()
                else f"{path} is no picture that can be read.",
                mend="Copy or make them again: they are empty, truncated or no pictures.",
            )
        self.height, self.width = self._first.image.shape[:2]

    def read(self) -> Frame | None:
        """The next picture that can be read, or None after the last."""
        frame, self._first = self._first, None
        if frame is None:
            frame = self._advance()
        if frame is None and self._broken:
            _LOG.warning("%d of %d pictures were skipped.", self._broken, self.frames)
            self._broken = 0
        return frame

    def close(self) -> None:
        """Ends the source: nothing more is read."""
        self._files = self._files[: self.position]
        self._first = None

    def _advance(self) -> Frame | None:
        gap = ""
        while self.position < len(self._files):
            file = self._files[self.position]
            self.position += 1
            image, reason = _read(file)
            if image is not None:
                index = self.position - 1
                return Frame(index, index / self.fps, image, gap)
            gap = "dropped"
            self._broken += 1
            _LOG.warning("Skipped %s: %s.", name_of(file), reason)
        return None


def _pictures_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    try:
        names = [file for file in path.iterdir() if file.suffix.lower() in PICTURES]
        files = [file for file in names if not file.name.startswith(".") and not file.is_dir()]
    except OSError as error:
        raise MediaError(
            f"Cannot read the folder {path}: {error.strerror}.",
            mend="Name a video, a folder of pictures or a URL: --source S",
        ) from error
    if not files:
        raise MediaError(
            f"There is no picture in the folder {path}.",
            mend=f"Name a folder that holds some ({', '.join(sorted(PICTURES))}), or a video.",
        )
    return sorted(files, key=lambda file: natural_key(file.name))


def _read(file: Path) -> tuple[Any, str]:
    try:
        content = file.read_bytes()
    except OSError as error:
        return None, error.strerror or "cannot be read"
    if not content:
        return None, "it is empty"
    # Older OpenCV fills a truncated JPEG up with grey. No scan data can look like these markers.
    if content[:2] == b"\xff\xd8" and b"\xff\xd9" not in content[content.rfind(b"\xff\xda") :]:
        return None, "it is truncated"
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    return image, "it is truncated, damaged or no picture"
