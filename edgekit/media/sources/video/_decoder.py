"""Turns video packets into pictures: decoded, deinterlaced, in BGR and upright."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from edgekit.media.sources.video._bgr import BgrConverter
from edgekit.media.sources.video._deinterlacing import Deinterlacer
from edgekit.media.sources.video._orientation import UPRIGHT, orientation_of
from edgekit.media.sources.video._pixel_shape import PixelShape
from edgekit.runtime.types import Array

__all__ = ["DecodedPicture", "Decoder"]

_SMALLEST_INTERLACED = 4


class DecodedPicture(NamedTuple):
    """Content of a packet.

    Attributes:
        image: Picture, (H, W, 3) uint8, BGR; None if there is none.
        seconds: Presentation time in seconds; None if unknown.
        broken: Whether decoding failed or had errors.
        sample_aspect: Pixel aspect ratio of the picture, width over height.
        waited: Seconds of waiting for the packet.
    """

    image: Array | None
    seconds: float | None = None
    broken: bool = False
    sample_aspect: float = 1.0
    waited: float = 0.0


# Many attributes: a decoder of FFmpeg, and the filters that turn its pictures upright and to BGR.
class Decoder:
    """Decodes the packets of one video stream.

    Args:
        stream: Video stream of PyAV.
        name: Name of the source, for messages.
        keep_size: Whether to scale all frames to the first frame's size.

    Attributes:
        begun: Whether a picture has been decoded.
    """

    def __init__(self, stream: Any, name: str, *, keep_size: bool) -> None:
        import av

        self.begun = False
        self._error: type[Exception] = av.FFmpegError
        self._stream = stream
        self._start = stream.start_time or 0
        self._tick = stream.time_base.numerator / stream.time_base.denominator
        self._keep_size = keep_size
        self._size: tuple[int, int] | None = None
        self._deinterlacer: Deinterlacer | None = None
        self._rotation, self._orientation = 0, UPRIGHT
        self._converter = BgrConverter(name)
        self._pixels = PixelShape(stream, name)

    def pictures(self, packet: Any | None) -> list[DecodedPicture]:
        """Returns the pictures that a packet completes; for None, the remaining ones at the end."""
        broken = []
        try:
            frames = self._stream.decode(packet)
        except (self._error, ValueError):
            frames, broken = [], [DecodedPicture(None, broken=True)]
        found = [self._picture(frame) for frame in self._whole(frames, last=packet is None)]
        self.begun = self.begun or bool(found)
        return broken + found

    def seconds(self, shown: int) -> float:
        """Converts a time in ticks of the stream to seconds since the start of the stream."""
        # Computed as in OpenCV, so that both readers give exactly equal times.
        return float((shown - self._start) * self._tick * 1e3 / 1e3)

    def forget(self) -> None:
        """Drops the decoder's state, because the next packet is a key frame after a gap."""
        self._stream.codec_context.flush_buffers()
        self._deinterlacer = None

    def _whole(self, frames: list[Any], *, last: bool) -> Iterator[Any]:
        """Yields the frames, deinterlaced from the first interlaced one on."""
        for frame in frames:
            if frame.time_base is None:
                frame.time_base = self._stream.time_base
            if self._deinterlacer is not None and not self._deinterlacer.suits(frame):
                yield from self._deinterlacer.push(None)
                self._deinterlacer = None
            if self._deinterlacer is None and _is_interlaced(frame):
                self._deinterlacer = Deinterlacer(frame)
            if self._deinterlacer is None:
                yield frame
            else:
                yield from self._deinterlacer.push(frame)
        if last and self._deinterlacer is not None:
            yield from self._deinterlacer.push(None)
            self._deinterlacer = None

    def _picture(self, frame: Any) -> DecodedPicture:
        shown = frame.dts if frame.pts is None else frame.pts
        seconds = None if shown is None else self.seconds(shown)
        # Reading the display matrix is slow. Between key frames the rotation value shows a change.
        # H.264's own orientation message is in the first picture and holds until the next key
        # frame.
        if frame.key_frame or frame.rotation not in (0, self._rotation):
            self._rotation, self._orientation = frame.rotation, orientation_of(frame)
        if self._size is None or not self._keep_size:
            self._size = frame.width, frame.height
        image: Array = self._orientation.apply(self._converter.convert(frame, self._size))
        aspect = self._pixels.of(frame, self._size)
        if self._orientation.transposed:
            aspect = 1 / aspect
        return DecodedPicture(image, seconds, frame.is_corrupt, aspect)


def _is_interlaced(frame: Any) -> bool:
    return bool(frame.interlaced_frame) and min(frame.width, frame.height) >= _SMALLEST_INTERLACED
