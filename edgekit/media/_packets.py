"""Encoded frames out of OpenCV, which gives them in files only."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.media._opencv import cv2, file_backend

__all__ = ["Codec", "PacketEncoder", "decoder_header", "packets_of_avi"]

_VOP = b"\x00\x00\x01\xb6"
_GROUP_OF_VOP = b"\x00\x00\x01\xb3"


class Codec(NamedTuple):
    """An encoder.

    Attributes:
        fourcc: OpenCV's name of it.
        matroska: Matroska's.
    """

    fourcc: str
    matroska: str


_CODECS = (Codec("mp4v", "V_MPEG4/ISO/ASP"), Codec("MJPG", "V_MJPEG"))


class PacketEncoder:
    """Encodes short runs of frames, each of which can be decoded without those before it.

    Args:
        size: (height, width) of all frames.
        fps: What the encoder plans its bits for.

    Attributes:
        codec: None where this OpenCV has no encoder that fits.
        count: Frames since ``take``.
    """

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        self._size = size
        self._fps = fps
        self._files = contextlib.ExitStack()
        folder = self._files.enter_context(tempfile.TemporaryDirectory(prefix="edgekit-"))
        self._file = Path(folder) / "run.avi"
        self._writer: Any = None
        self.count = 0
        self.codec = next((codec for codec in _CODECS if self._open(codec)), None)

    def write(self, image: Any) -> None:
        """Encodes a frame."""
        if self._writer is None and self.codec is not None:
            self._open(self.codec)
        self._writer.write(image)
        self.count += 1

    def take(self) -> list[bytes]:
        """The frames since the last ``take``, encoded; the next one begins a new run."""
        if not self.count:
            return []
        self.count = 0
        self._writer.release()
        self._writer = None
        return packets_of_avi(self._file.read_bytes())

    def close(self) -> None:
        """Removes the temporary file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._files.close()

    def _open(self, codec: Codec) -> bool:
        height, width = self._size
        code = cv2.VideoWriter.fourcc(*codec.fourcc)
        self._writer = cv2.VideoWriter(
            str(self._file), file_backend(), code, self._fps, (width, height)
        )
        return bool(self._writer.isOpened())


def packets_of_avi(content: bytes) -> list[bytes]:
    """The frames of an AVI file of one video stream, as its encoder made them."""
    place = content.find(b"movi") + len(b"movi")
    packets = []
    while content[place : place + 2] == b"00":
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        packets.append(content[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return packets


def decoder_header(packet: bytes) -> bytes:
    """What comes before the picture in the first frame of MPEG-4; nothing in other codecs."""
    if not packet.startswith(b"\x00\x00\x01"):
        return b""
    ends = [place for place in map(packet.find, (_GROUP_OF_VOP, _VOP)) if place >= 0]
    return packet[: min(ends)] if ends else b""
