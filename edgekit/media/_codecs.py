"""The codecs that annotated videos are written in, and how frames become packets of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple, Protocol

__all__ = ["FORMATS", "H264", "MJPEG", "MPEG4", "VP8", "VP9", "Codec", "Encoder", "Track"]


class Codec(NamedTuple):
    """A codec, and the library that has its encoder.

    Attributes:
        name: Name for people.
        library: ``av`` or ``cv2``, as they are imported.
        encoder: The library's name of the encoder; for OpenCV its FourCC.
        matroska: Matroska's name of the codec.
        most: Pixels that a side can have at most.
        browsers: Whether browsers play it.
        least: Pixels that a side has at least.
    """

    name: str
    library: str
    encoder: str
    matroska: str
    most: int
    browsers: bool = True
    least: int = 2

    @property
    def limits(self) -> str:
        """What its frames can be, as a sentence."""
        return f"{self.name} has {self.least} to {self.most} pixels a side."

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether frames of (height, width) are within its limits."""
        return self.least <= min(size) and max(size) <= self.most


H264 = Codec("H.264", "av", "libx264", "V_MPEG4/ISO/AVC", 16_384)
VP9 = Codec("VP9", "av", "libvpx-vp9", "V_VP9", 65_534)
VP8 = Codec("VP8", "cv2", "VP80", "V_VP8", 16_382, least=4)
MPEG4 = Codec("MPEG-4 Part 2", "cv2", "mp4v", "V_MPEG4/ISO/ASP", 8_190, browsers=False)
MJPEG = Codec("Motion JPEG", "cv2", "MJPG", "V_MJPEG", 65_500, browsers=False, least=16)

# OpenCV's encoders of VP8 and VP9 are 20 to 100 times slower than MPEG-4's and cannot be told
# otherwise, so VP8 is for names that allow nothing else.
_MP4 = (H264, MPEG4)
FORMATS: dict[str, tuple[Codec, ...]] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MP4,
    ".mkv": (H264, MPEG4, MJPEG),
    ".webm": (VP9, VP8),
    ".avi": (MJPEG, MPEG4),
}
"""Codecs by the ending of the file's name; the first that can be had is used."""


class Encoder(Protocol):
    """Encodes short runs of frames, each of which can be decoded without those before it.

    Attributes:
        codec: What it encodes to.
        private: What a decoder needs before the first packet; empty before the first ``take``.
    """

    codec: Codec
    private: bytes

    def write(self, image: Any) -> None:
        """Encodes a frame."""

    def take(self) -> list[bytes]:
        """The packets of the frames since the last ``take``, one each; a new run begins.

        There are fewer than frames where some could not be encoded.
        """

    def close(self) -> None:
        """Frees what the encoder holds; harmless a second time."""


class Track(NamedTuple):
    """What a container says of its one video.

    Attributes:
        codec: Its codec.
        private: What a decoder needs before the first packet.
        size: (height, width) of the encoded frames.
        aspect: Width of a pixel over its height.
    """

    codec: Codec
    private: bytes
    size: tuple[int, int]
    aspect: Fraction = Fraction(1)

    @property
    def shown(self) -> tuple[int, int]:
        """(height, width) in square pixels."""
        height, width = self.size
        if self.aspect < 1:
            return round(height / self.aspect), width
        return height, round(width * self.aspect)
