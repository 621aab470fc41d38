"""From the packets of a video to pictures: decoded, deinterlaced, in BGR and upright."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from edgekit.media.sources._deinterlacing import Deinterlacer
from edgekit.media.sources._orientation import UPRIGHT, orientation_of
from edgekit.runtime.types import Array

__all__ = ["Decoder", "Picture"]

_UNKNOWN = frozenset((0, 2, 3))
"""Codes of ITU-T H.273 for colours that are not specified."""

_HDR = frozenset((16, 18))
_BT709 = 1
_SDR_GAMUTS = frozenset((1, 4, 5, 6, 7))
_SMALLEST_INTERLACED = 4
_PICTURES_AT_ONCE = 8
_LARGEST_BLOCK = 31 << 20
"""glibc takes nothing larger for a measure."""

_COLOUR_VERSION = 17
"""The first PyAV whose scaler knows transfer functions, as that of OpenCV's FFmpeg does."""


class Picture(NamedTuple):
    """What came out of a packet.

    Attributes:
        image: (H, W, 3) uint8, BGR; None where there was none.
        seconds: When it is to be shown; None where unknown.
        broken: Whether it cannot be decoded, or only with errors.
        transposed: Whether rows became columns to set it upright.
        waited: Seconds until the packet came.
    """

    image: Array | None
    seconds: float | None = None
    broken: bool = False
    transposed: bool = False
    waited: float = 0.0


class Decoder:
    """Decodes the packets of one video stream.

    Args:
        stream: Of PyAV.
        keep_size: Scale frames to the size of the first one, where a recording changes it.

    Attributes:
        begun: Whether there was a whole picture.
    """

    def __init__(self, stream: Any, *, keep_size: bool) -> None:
        import av
        from av.video.reformatter import Interpolation, VideoReformatter

        self.begun = False
        self._error: type[Exception] = av.FFmpegError
        self._stream = stream
        self._start = stream.start_time or 0
        self._tick = stream.time_base.numerator / stream.time_base.denominator
        self._keep_size = keep_size
        self._size: tuple[int, int] | None = None
        self._deinterlacer: Deinterlacer | None = None
        self._rotation, self._orientation = 0, UPRIGHT
        self._reformatter = VideoReformatter()
        self._settings: dict[str, Any] = {"interpolation": Interpolation.BICUBIC}
        self._knows_colours = int(av.__version__.partition(".")[0]) >= _COLOUR_VERSION
        if self._knows_colours:
            self._settings["threads"] = 1  # more cost small pictures more than they give

    def pictures(self, packet: Any | None) -> list[Picture]:
        """The pictures that a packet completes; those that are left, for None at the end."""
        broken = []
        try:
            frames = self._stream.decode(packet)
        except (self._error, ValueError):
            frames, broken = [], [Picture(None, broken=True)]
        found = [self._picture(frame) for frame in self._whole(frames, last=packet is None)]
        self.begun = self.begun or bool(found)
        return broken + found

    def seconds(self, shown: int) -> float:
        """Seconds of a time in ticks of the stream."""
        # As OpenCV computes it, so that both readers give the same time to the last bit.
        return float((shown - self._start) * self._tick * 1e3 / 1e3)

    def forget(self) -> None:
        """Gives up what it holds: the next packet is a key frame that does not follow the last."""
        self._stream.codec_context.flush_buffers()
        self._deinterlacer = None

    def _whole(self, frames: list[Any], *, last: bool) -> Iterator[Any]:
        """The frames, deinterlaced from the first interlaced one on."""
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

    def _picture(self, frame: Any) -> Picture:
        shown = frame.dts if frame.pts is None else frame.pts
        seconds = None if shown is None else self.seconds(shown)
        # To look at the matrix takes a while. Between key frames only the rotation can tell, and
        # one that H.264 itself tells stands in its first picture and holds to the next key frame.
        if frame.key_frame or frame.rotation not in (0, self._rotation):
            self._rotation, self._orientation = frame.rotation, orientation_of(frame)
        image = self._orientation.apply(self._bgr(frame))
        return Picture(image, seconds, frame.is_corrupt, self._orientation.transposed)

    def _bgr(self, frame: Any) -> Array:
        if self._size is None:
            self._size = frame.width, frame.height
            _keep_memory(3 * frame.width * frame.height)
        width, height = self._size if self._keep_size else (frame.width, frame.height)
        settings = {**self._settings, **self._colours(frame)}
        made = self._reformatter.reformat(frame, width, height, "bgr24", **settings)
        image: Array = made.to_ndarray()
        # The memory of a frame that was BGR already is the decoder's.
        return image.copy() if made is frame else image

    def _colours(self, frame: Any) -> dict[str, int]:
        """What FFmpeg's scaler takes for the colours of BGR where nobody says."""
        primaries, transfer = frame.color_primaries, frame.color_trc
        if not self._knows_colours or {primaries, transfer} <= _UNKNOWN:
            return {}
        known = transfer not in _UNKNOWN | _HDR
        return {
            "dst_color_primaries": primaries if primaries in _SDR_GAMUTS else _BT709,
            "dst_color_trc": transfer if known else _BT709,
        }


def _keep_memory(size: int) -> None:
    """Lets the C library keep freed pictures of so many bytes for the next ones.

    glibc gives the memory back to the system, and its pages are mapped anew for each picture,
    unless a larger block was freed before.
    """
    np.empty(min(_PICTURES_AT_ONCE * size, _LARGEST_BLOCK), np.uint8)


def _is_interlaced(frame: Any) -> bool:
    return bool(frame.interlaced_frame) and min(frame.width, frame.height) >= _SMALLEST_INTERLACED
