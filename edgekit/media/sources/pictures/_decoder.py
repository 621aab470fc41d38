"""Decodes pictures from the bytes of their files, and explains failures."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

from edgekit.media._opencv import cv2
from edgekit.media.sources.pictures import _formats as formats
from edgekit.media.sources.pictures._tiff import Page, is_tiff, tiff_pages

__all__ = ["PictureDecoder", "UnreadableError", "animation_frames", "pages_of"]

_LOG = logging.getLogger(__name__)
_DEEP = 65535
_DEEP_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
_DEPTHS = (10, 12, 14)
"""Bit depths of cameras whose values are often stored in 16 bits."""


_FAULTS_HINT = "Copy it again, or save it again as PNG or JPEG with 8 bits."
_COMPRESSIONS = frozenset((*range(1, 9), 32771, 32773, 32946))
"""Codes of the TIFF compressions that OpenCV reads."""

_RANGE_HINT = (
    "Save it with whole numbers of 8 or 16 bits: floating-point and 32-bit numbers have no largest "
    "value that EdgeKit could know."
)


class UnreadableError(Exception):
    """A picture cannot be read; the message gives the reason as a clause.

    Attributes:
        hint: Advice for the user.
    """

    def __init__(self, reason: str, hint: str = _FAULTS_HINT) -> None:
        super().__init__(reason)
        self.hint = hint


def pages_of(content: bytes) -> int:
    """Returns the number of pictures in a file, without thumbnails and masks."""
    if is_tiff(content):
        return max(1, sum(not page.extra for page in tiff_pages(content)))
    if formats.is_webp(content):
        return max(1, len(formats.webp_delays(content)))
    if formats.is_png(content):
        return formats.animated_png(content)
    return formats.jpeg_pictures(content) if formats.is_jpeg(content) else 1


def animation_frames(content: bytes, first: int, room: int) -> list[Any]:
    """Decodes some frames of an animated WebP; returns none if they cannot be decoded.

    Args:
        content: Bytes of the file.
        first: Number of the first frame to decode, from 0.
        room: Largest total size of the frames, in bytes; at least one frame is decoded.

    Returns:
        Frames of shape (H, W, 3) uint8, BGR, without the alpha channel.
    """
    # The first chunk holds the canvas size: width and height minus 1, in 3 bytes each.
    width, height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
    count = max(1, room // (4 * width * height))
    try:
        good, animation = cv2.imdecodeanimation(_array(content), first, count)
    except cv2.error:
        return []
    return [np.ascontiguousarray(frame[..., :3]) for frame in animation.frames] if good else []


class PictureDecoder:
    """Decodes the pictures of one source.

    16-bit samples are scaled to 8 bits by their intended largest value. If the format does not
    state it, the decoder tries 10, 12, 14 and 16 bits, and takes the first that holds all values
    found so far. It logs a warning if that is below 16 bits.

    Args:
        name: Name of the source, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._largest = 0

    def look(self, contents: Iterable[bytes]) -> None:
        """Determines how many of 16 bits are used, from some pictures of the source.

        Args:
            contents: Bytes of picture files; reading stops at the first that is not 16-bit.
        """
        found = 0
        for content in contents:
            if _largest_of(content) != _DEEP:
                break
            image = _decode(content, _DEEP_FLAGS)
            if image is not None and image.dtype == np.uint16:
                found = max(found, int(image.max()))
        if found:
            self._take(found)

    def decode(self, content: bytes) -> Any:
        """Decodes the only, or the first, picture of a file.

        Args:
            content: Bytes of the file.

        Returns:
            The picture, (H, W, 3) uint8, BGR.

        Raises:
            UnreadableError: The file is damaged, truncated or not a picture.
        """
        _check(content)
        if formats.is_png(content):
            content = formats.png_essentials(content)
        pages = tiff_pages(content) if is_tiff(content) else []
        if pages and pages[0].extra:
            return self.page(content, next(page for page in pages if not page.extra))
        largest = _largest_of(content)
        if largest == 255 or largest == self._largest == _DEEP:
            image = _decode(content, cv2.IMREAD_COLOR)
        else:
            image = _decode(content, _DEEP_FLAGS)
            inverted = bool(pages) and pages[0].inverted
            image = self._shallow(image, largest, inverted=inverted)
            if image is None:
                image = _decode(content, cv2.IMREAD_COLOR)
        if image is None:
            obstacle = _obstacle(pages[0]) if pages else ""
            raise UnreadableError(obstacle or "it is truncated, damaged or not a picture")
        return image

    def page(self, content: bytes, page: Page) -> Any:
        """Decodes one page of a TIFF, with the result and errors of ``decode``."""
        _check_page(page)
        span = (page.number, page.number + 1)
        image = None
        if page.bits == 16:
            images = _decode_pages(content, _DEEP_FLAGS, span)
            image = self._shallow(images[0] if images else None, _DEEP, inverted=page.inverted)
        if image is None:
            images = _decode_pages(content, cv2.IMREAD_COLOR, span)
            if not images:
                raise UnreadableError(_obstacle(page) or "it is truncated or damaged")
            image = images[0]
        return image

    def _shallow(self, image: Any, largest: int, *, inverted: bool) -> Any:
        """Scales a picture to 8 bits; returns None if OpenCV's own conversion is right."""
        if image is None or (largest > 255) != (image.dtype == np.uint16):
            return None
        if largest == _DEEP:
            found = int(image.max())
            if found > self._largest:
                self._take(found)
            largest = self._largest
        if largest in (0, 255, _DEEP):
            return None
        scaled = image.astype(np.uint32) * 255 + largest // 2
        shallow = np.minimum(scaled // largest, 255).astype(np.uint8)
        return 255 - shallow if inverted else shallow  # OpenCV leaves deep values as they are

    def _take(self, found: int) -> None:
        bits = next((bits for bits in _DEPTHS if found < 1 << bits), 16)
        before, self._largest = self._largest, (1 << bits) - 1
        if bits < 16:
            _LOG.warning(
                "%s: its 16-bit pictures use only %d bits (the largest value found is %d). EdgeKit "
                "scales them by that range; otherwise they would be almost black.",
                self._name,
                bits,
                found,
            )
        elif before:
            _LOG.warning(
                "%s: from here on its pictures use all 16 bits. EdgeKit scales them by the "
                "full range.",
                self._name,
            )


def _largest_of(content: bytes) -> int:
    if is_tiff(content):
        pages = tiff_pages(content)
        return _DEEP if pages and pages[0].bits == 16 else 255
    return formats.largest_value(content)


def _check(content: bytes) -> None:
    """Refuses files by their bytes, before a decoder prints a warning or fills gaps with grey."""
    fault = ""
    if not content:
        fault = "it is empty"
    elif formats.is_jpeg(content):
        bits = formats.jpeg_bits(content)
        if not formats.is_whole_jpeg(content):
            fault = "it is truncated"
        elif bits not in (0, 8):
            fault = f"its values have {bits} bits; a JPEG of 8 was expected"
    elif formats.is_png(content):
        fault = formats.png_fault(content)
    elif formats.is_webp(content):
        fault = formats.webp_fault(content)
    elif is_tiff(content):
        pages = tiff_pages(content)
        if not pages:
            fault = "it is truncated"
        elif all(page.extra for page in pages):
            fault = "it holds previews or a camera's raw data only"
        else:
            _check_page(next(page for page in pages if not page.extra))
    if fault:
        raise UnreadableError(fault)


def _check_page(page: Page) -> None:
    if page.fractional:
        raise UnreadableError(
            f"its values are floating-point numbers of {page.bits} bits; whole numbers of 8 or "
            "16 bits were expected",
            _RANGE_HINT,
        )
    if page.signed:
        raise UnreadableError(
            f"its values are signed numbers of {page.bits} bits; unsigned ones were expected",
            "Save it with unsigned whole numbers of 8 or 16 bits.",
        )
    if page.bits > 16:
        raise UnreadableError(
            f"its values have {page.bits} bits; 8 or 16 were expected", _RANGE_HINT
        )


def _obstacle(page: Page) -> str:
    """Returns why OpenCV reads no such TIFF, as a clause; empty if it should."""
    if page.bits not in (1, 8, 16):
        return f"its values have {page.bits} bits; 8 or 16 were expected"
    if page.compression not in _COMPRESSIONS:
        return f"OpenCV cannot decompress it (TIFF compression {page.compression})"
    return ""


def _decode(content: bytes, flags: int) -> Any:
    try:
        return cv2.imdecode(_array(content), flags)
    except cv2.error:
        return None


def _decode_pages(content: bytes, flags: int, span: tuple[int, int]) -> Any:
    try:
        return cv2.imdecodemulti(_array(content), flags, range=span)[1]
    except cv2.error:  # the picture has more pixels than OpenCV accepts
        return ()


def _array(content: bytes) -> Any:
    return np.frombuffer(content, np.uint8)
