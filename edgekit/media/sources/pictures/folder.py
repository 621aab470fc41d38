"""Reads pictures as a source: a folder of pictures, or a file with one or several."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit._locking import one_at_a_time
from edgekit._parameters import parameter
from edgekit._printable import plural
from edgekit.errors import MediaError
from edgekit.files.reading import open_regular, read_regular
from edgekit.media.sources.pictures._decoder import PictureDecoder, UnreadableError, pages_of
from edgekit.media.sources.pictures._formats import animated_png, is_png, is_webp
from edgekit.media.sources.pictures._tiff import is_tiff
from edgekit.media.sources.pictures.pages import PagesSource
from edgekit.media.sources.source import DEFAULT_FPS, Source, name_of
from edgekit.runtime.types import Frame
from edgekit.system.leaving import inside_or_end

__all__ = [
    "PICTURES",
    "FramesSource",
    "is_picture",
    "natural_key",
    "open_picture",
    "pictures_of",
    "read_picture",
]

_JPEGS = (".jfif", ".jpe", ".jpeg", ".jpg")
_PORTABLE = (".pbm", ".pgm", ".pnm", ".ppm")
PICTURES = frozenset((".bmp", ".jp2", *_JPEGS, ".png", *_PORTABLE, ".tif", ".tiff", ".webp"))
"""File extensions of pictures, in lower case."""

_LOG = logging.getLogger(__name__)
_HEAD = 1 << 20
_MOST_BYTES = 1 << 28
_LOOKED_AT = 8
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Returns a key that sorts numbers by value, ``frame2`` before ``frame10``, ignoring case.

    Names that are equal by this rule (``01`` and ``1``, ``A`` and ``a``) are sorted as plain text.
    """
    parts = _DIGITS.split(name)
    # Even places hold text and odd places digits, so text is only ever compared with text.
    folded = (_value(part) if place % 2 else part.casefold() for place, part in enumerate(parts))
    return tuple(folded), name


def _value(digits: str) -> tuple[int, str]:
    """Returns what sorts digits by value; as a number they may be longer than Python reads."""
    significant = digits.lstrip("0")
    return len(significant), significant


def is_picture(path: Path) -> bool:
    """Returns whether a file holds a picture or pages, rather than a video.

    Animated PNG and GIF files count as videos, whatever their extension.
    """
    try:
        with open_regular(path) as (file, _):
            head = file.read(_HEAD)
    except OSError:
        head = b""
    if head[:4] == b"GIF8" or (is_png(head) and animated_png(head) > 1):
        return False
    return path.suffix.lower() in PICTURES or is_webp(head) or is_tiff(head)


def open_picture(path: Path) -> Source:
    """Opens a file with one or several pictures.

    Args:
        path: Path of a picture, an animation or a file of pages.

    Raises:
        MediaError: The file cannot be read.
    """
    try:
        content = read_regular(path, _MOST_BYTES)
    except OSError:
        return FramesSource(path)  # FramesSource explains why it cannot be read
    if pages_of(content) > 1 and PagesSource.can_read(content):
        return PagesSource(path, content)
    return FramesSource(path)


# Many attributes: those that every source has, and what is known of the folder's files.
class FramesSource(Source):
    """The pictures of a folder in natural order, or a single picture.

    A picture that cannot be read is skipped with a warning; its index is left out, so the next
    frame has a gap before it. If a file holds several pictures, only the first is read, with a
    warning.

    Args:
        path: Folder, without its subfolders; or a picture file.
        fps: Frames per second at which the pictures are played.

    Raises:
        MediaError: There is no picture, or none can be read.
    """

    def __init__(self, path: Path | str, *, fps: float = DEFAULT_FPS) -> None:
        path = Path(path)
        self.name = name_of(path)
        self.fps = fps
        self._alone = path.is_file()
        self._files = pictures_of(path)
        self.frames = len(self._files)
        self._broken = 0
        self._has_warned_of_pages = False
        self._decoder = PictureDecoder(self.name)
        self._decoder.look(_some(self._files))
        self._first = self._advance()
        if self._first is None:
            raise MediaError(
                f"EdgeKit can read none of {self.frames} {plural('picture', self.frames)} in "
                f"{self.name}.",
                hint="Copy or make them again: the warnings say what is wrong with each.",
            )
        self.height, self.width = self._first.image.shape[:2]

    @one_at_a_time
    @inside_or_end()
    def read(self) -> Frame | None:
        """Returns the next readable picture, or None after the last."""
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
            index = self.position - 1
            try:
                content = read_regular(file, _MOST_BYTES)
                image = self._decoder.decode(content)
            except OSError as error:
                reason, hint = error.strerror or "it cannot be read", "Check the file's rights."
            except UnreadableError as error:
                reason, hint = str(error), error.hint
            else:
                self._warn_of_pages(file, content)
                return Frame(index, index / self.fps, image, gap)
            if self._alone:
                raise MediaError(f"{self.name} cannot be read as a picture: {reason}.", hint=hint)
            gap = "dropped"
            self._broken += 1
            _LOG.warning("Skipped %s: %s.", name_of(file), reason)
        return None

    def _warn_of_pages(self, file: Path, content: bytes) -> None:
        if self._has_warned_of_pages or (count := pages_of(content)) == 1:
            return
        self._has_warned_of_pages = True
        others = "" if self._alone else " The same holds for other such files in this folder."
        _LOG.warning(
            "EdgeKit reads only the first of the %d pictures in %s.%s", count, name_of(file), others
        )


def _some(files: list[Path]) -> Iterator[bytes]:
    """Yields the contents of a few files, spread over the whole folder."""
    for file in files[:: max(1, len(files) // _LOOKED_AT)][:_LOOKED_AT]:
        try:
            yield read_regular(file, _MOST_BYTES)
        except OSError:
            yield b""


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """Returns the picture in a file, (H, W, 3) uint8, BGR; of several pictures, the first.

    16-bit samples are scaled by what this picture uses; ``FramesSource`` scales all alike.

    Raises:
        MediaError: The file cannot be read as a picture.
    """
    try:
        image: npt.NDArray[np.uint8] = PictureDecoder(name_of(path)).decode(
            read_regular(path, _MOST_BYTES)
        )
    except OSError as error:
        reason, hint = error.strerror or "it cannot be read", "Check the path and its permissions."
        raise MediaError(
            f"Cannot read the picture {name_of(path)}: {reason}.", hint=hint
        ) from error
    except UnreadableError as error:
        raise MediaError(
            f"Cannot read the picture {name_of(path)}: {error}.", hint=error.hint
        ) from error
    return image


def pictures_of(path: Path) -> list[Path]:
    """Returns the pictures of a folder in natural order; a file alone is returned as it is.

    Raises:
        MediaError: The folder cannot be read, or holds no picture.
    """
    if path.is_file():
        return [path]
    try:
        names = [file for file in path.iterdir() if file.suffix.lower() in PICTURES]
        files = [file for file in names if not file.name.startswith(".") and not file.is_dir()]
    except OSError as error:
        raise MediaError(
            f"Cannot read the folder {path}: {error.strerror}.",
            hint=f"Name a video, a folder of pictures or a URL: {parameter('source', 'S')}",
        ) from error
    if not files:
        raise MediaError(
            f"There is no picture in the folder {path}.",
            hint=f"Name a folder that holds some ({', '.join(sorted(PICTURES))}), or a video.",
        )
    return sorted(files, key=lambda file: natural_key(file.name))
