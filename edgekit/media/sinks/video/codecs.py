"""Lists the codecs for annotated videos, and defines the ``Encoder`` protocol."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, Protocol

from edgekit.runtime.types import Array

__all__ = ["FORMATS", "H264", "MJPEG", "MPEG4", "VP8", "VP9", "Codec", "Encoder", "Track"]


class Codec(NamedTuple):
    """A codec, and the library that provides its encoder.

    Attributes:
        name: Name for messages.
        library: Module that has the encoder: ``av`` or ``cv2``.
        encoder: Name of the encoder in that library; a FourCC for OpenCV.
        matroska: Codec ID in Matroska.
        most: Largest side of a frame, in pixels.
        browsers: Whether browsers play it.
        least: Smallest side of a frame, in pixels.
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
        """The accepted frame sizes, as a sentence."""
        return f"{self.name} has {self.least} to {self.most} pixels a side."

    def fits(self, size: tuple[int, int]) -> bool:
        """Returns whether frames of size (height, width) are within the limits."""
        return self.least <= min(size) and max(size) <= self.most


H264 = Codec("H.264", "av", "libx264", "V_MPEG4/ISO/AVC", 16_384)
VP9 = Codec("VP9", "av", "libvpx-vp9", "V_VP9", 65_534)
VP8 = Codec("VP8", "cv2", "VP80", "V_VP8", 16_382, least=4)
MPEG4 = Codec("MPEG-4 Part 2", "cv2", "mp4v", "V_MPEG4/ISO/ASP", 8_190, browsers=False)
MJPEG = Codec("Motion JPEG", "cv2", "MJPG", "V_MJPEG", 65_500, browsers=False, least=16)

# OpenCV's VP8 and VP9 encoders are 20 to 100 times slower than its MPEG-4 encoder, without an
# option to change that. VP8 is therefore used only where the container allows nothing else.
_MP4 = (H264, MPEG4)
FORMATS: dict[str, tuple[Codec, ...]] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MP4,
    ".mkv": (H264, MPEG4, MJPEG),
    ".webm": (VP9, VP8),
    ".avi": (MJPEG, MPEG4),
}
"""Codecs for each file extension; the first available one is used."""


class Encoder(Protocol):
    """Encodes groups of frames; each group can be decoded without the groups before it.

    Attributes:
        codec: Codec of the packets.
        private: Decoder configuration (codec private data); may be empty before the first ``take``.
    """

    codec: Codec
    private: bytes

    def write(self, image: Array) -> None:
        """Encodes a frame."""

    def take(self) -> list[bytes]:
        """Returns one packet per frame since the last ``take``, and starts a new group.

        There are fewer packets than frames if some frames could not be encoded.
        """

    def close(self) -> None:
        """Frees the encoder's resources; it may be called twice."""


class Track(NamedTuple):
    """Description of a container's only video track.

    Attributes:
        codec: Codec of the packets.
        private: Decoder configuration (codec private data).
        size: Size (height, width) of the encoded frames in pixels.
        aspect: Pixel aspect ratio, width over height.
    """

    codec: Codec
    private: bytes
    size: tuple[int, int]
    aspect: Fraction = Fraction(1)

    @property
    def shown(self) -> tuple[int, int]:
        """Display size (height, width), in square pixels."""
        height, width = self.size
        if self.aspect < 1:
            return round(height / self.aspect), width
        return height, round(width * self.aspect)
