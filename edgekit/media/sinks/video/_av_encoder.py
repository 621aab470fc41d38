"""Encodes frames as H.264 or VP9 with PyAV."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

from edgekit.media._opencv import cv2
from edgekit.media.sinks.video.codecs import Codec
from edgekit.runtime.types import Array

__all__ = ["AvEncoder"]

_OPTIONS = {
    # Files have about the size of MPEG-4's default, at a slightly better quality. Every frame gives
    # its packet at once (zerolatency). Containers need packets without Annex B start codes.
    "libx264": {
        "preset": "superfast",
        "tune": "zerolatency",
        "crf": "20",
        "forced-idr": "1",
        "x264-params": "annexb=0",
    },
    "libvpx-vp9": {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "crf": "28",
        "b": "0",
    },
}
_NO_KEY_OF_ITS_OWN = 1 << 16
_MOST_THREADS = 4
_PIXELS_OF_A_THREAD = 1 << 21
_BT601, _LIMITED = 6, 1
_KEY = 1
_CHROMA_RANGE = 224 / 255


class AvEncoder:
    """An ``Encoder`` that uses PyAV.

    Args:
        codec: Codec whose library is PyAV.
        size: Size (height, width) of all frames in pixels, both even.
        fps: Expected frame rate, in frames per second.
        aspect: Pixel aspect ratio, width over height.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: This PyAV lacks the encoder, or the encoder rejects the size or rate.
    """

    def __init__(self, codec: Codec, size: tuple[int, int], fps: float, aspect: Fraction) -> None:
        import av

        self.codec = codec
        self._av: Any = av
        try:
            context: Any = av.CodecContext.create(codec.encoder, "w")
        except av.FFmpegError as error:
            raise ValueError(str(error)) from error
        context.height, context.width = size
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(fps).limit_denominator(1001)
        context.time_base = 1 / context.framerate
        context.sample_aspect_ratio = aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = _LIMITED
        context.gop_size = _NO_KEY_OF_ITS_OWN
        # Further threads split the picture into slices, which costs bytes.
        threads = 1 + size[0] * size[1] // _PIXELS_OF_A_THREAD
        context.thread_count = min(threads, _MOST_THREADS, os.cpu_count() or 1)
        context.flags |= av.codec.context.Flags.global_header
        context.options = dict(_OPTIONS[codec.encoder])
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(str(error)) from error
        self._context = context
        self._packets: list[bytes] = []
        self._count = 0
        self._begins = True
        self.private = b"" if context.extradata is None else bytes(context.extradata)

    def write(self, image: Array) -> None:
        """Encodes a frame."""
        frame = self._av.VideoFrame.from_ndarray(_planes(image), format="yuv420p")
        frame.pts = self._count
        frame.colorspace, frame.color_range = _BT601, _LIMITED
        if self._begins:
            frame.pict_type = _KEY
        self._begins = False
        self._count += 1
        self._packets += [bytes(packet) for packet in self._context.encode(frame)]

    def take(self) -> list[bytes]:
        """Returns the packets since the last ``take``."""
        packets, self._packets = self._packets, []
        self._begins = True
        return packets

    def close(self) -> None:
        """Does nothing: the encoder holds nothing that garbage collection would not free."""


def _planes(image: Array) -> Any:
    """Converts BGR to stacked Y, U and V planes (BT.601), faster than FFmpeg does."""
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    # OpenCV samples the colour of one pixel in four, which is visible at the edges of boxes.
    half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(half, cv2.COLOR_BGR2YCrCb)
    colours = cv2.convertScaleAbs(colours, alpha=_CHROMA_RANGE, beta=128 * (1 - _CHROMA_RANGE))
    chroma = planes.reshape(-1)[height * width :].reshape(2, height // 2, width // 2)
    chroma[0], chroma[1] = colours[..., 2], colours[..., 1]
    return planes
