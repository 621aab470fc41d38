"""Encodes frames with OpenCV, which can only write files."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from edgekit.files.writing import temporary_file
from edgekit.media._opencv import cv2, file_backend
from edgekit.media.sinks.video.codecs import Codec
from edgekit.runtime.types import Array

__all__ = ["OpenCvEncoder", "decoder_header", "packets_of_avi"]

_VOP = b"\x00\x00\x01\xb6"
_GROUP_OF_VOP = b"\x00\x00\x01\xb3"


class OpenCvEncoder:
    """An ``Encoder`` that writes a temporary file for each group of frames.

    Args:
        codec: Codec whose library is OpenCV.
        size: Size (height, width) of all frames in pixels, both even.
        fps: Expected frame rate, in frames per second.

    Raises:
        ValueError: This OpenCV lacks the encoder, or the encoder rejects the size or rate.
    """

    def __init__(self, codec: Codec, size: tuple[int, int], fps: float) -> None:
        self.codec = codec
        self.private = b""
        self._size = size
        self._fps = fps
        self._files = contextlib.ExitStack()
        place = Path(tempfile.gettempdir())
        self._file = self._files.enter_context(temporary_file(place, ".avi"))
        self._count = 0
        self._writer: Any = None
        if not self._open():
            self.close()
            raise ValueError(f"This OpenCV cannot encode {codec.name} of {size}.")

    def write(self, image: Array) -> None:
        """Encodes a frame."""
        if self._writer is None:
            self._open()
        self._writer.write(image)
        self._count += 1

    def take(self) -> list[bytes]:
        """Returns the packets since the last ``take``."""
        if not self._count:
            return []
        self._count = 0
        self._writer.release()
        self._writer = None
        packets = packets_of_avi(self._file.read_bytes())
        if packets and not self.private:
            self.private = decoder_header(packets[0])
        return packets

    def close(self) -> None:
        """Removes the temporary file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._files.close()

    def _open(self) -> bool:
        height, width = self._size
        code = cv2.VideoWriter.fourcc(*self.codec.encoder)
        self._writer = cv2.VideoWriter(
            str(self._file), file_backend(), code, self._fps, (width, height)
        )
        return bool(self._writer.isOpened())


def packets_of_avi(content: bytes) -> list[bytes]:
    """Returns the frames of an AVI file with one video stream, as encoded packets."""
    place = content.find(b"movi") + len(b"movi")
    packets = []
    while content[place : place + 2] == b"00":
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        packets.append(content[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return packets


def decoder_header(packet: bytes) -> bytes:
    """Returns the bytes before the picture in an MPEG-4 frame; empty for other codecs."""
    if not packet.startswith(b"\x00\x00\x01"):
        return b""
    ends = [place for place in map(packet.find, (_GROUP_OF_VOP, _VOP)) if place >= 0]
    return packet[: min(ends)] if ends else b""
