"""Raw pictures in the layouts that ``ffmpeg -f rawvideo`` writes, to BGR."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.media._opencv import cv2

__all__ = ["LAYOUTS", "frame_bytes", "to_bgr"]

LAYOUTS = ("bgr24", "rgb24", "gray8", "nv12", "yuv420p")
"""Names of what can be read, as FFmpeg has them."""

_Bytes = npt.NDArray[np.uint8]


def frame_bytes(layout: str, width: int, height: int) -> int:
    """How long a picture is; planes of colour are rounded up, as FFmpeg does."""
    if layout in ("bgr24", "rgb24"):
        return 3 * width * height
    if layout == "gray8":
        return width * height
    return width * height + 2 * _half(width) * _half(height)


def to_bgr(raw: _Bytes, layout: str, width: int, height: int, *, full: bool = False) -> _Bytes:
    """A picture as (height, width, 3) uint8, BGR; colours are those of BT.601.

    Args:
        raw: Flat, ``frame_bytes`` long; the picture may share its memory.
        layout: One of ``LAYOUTS``.
        width: Pixels.
        height: Pixels.
        full: Whether YUV is from 0 to 255, and not from 16 to 235.
    """
    if layout == "bgr24":
        return raw.reshape(height, width, 3)
    if layout == "rgb24":
        coloured = raw.reshape(height, width, 3)
        return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_RGB2BGR), np.uint8)
    if layout == "gray8":
        grey = raw.reshape(height, width)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    if full:
        raw = _limited(raw, width * height)
    code = cv2.COLOR_YUV2BGR_NV12 if layout == "nv12" else cv2.COLOR_YUV2BGR_I420
    even = _even(raw, width, height)
    picture = cv2.cvtColor(even.reshape(-1, 2 * _half(width)), code)
    return np.ascontiguousarray(picture[:height, :width])


def _half(side: int) -> int:
    return (side + 1) // 2


def _even(raw: _Bytes, width: int, height: int) -> _Bytes:
    """The same with even sides, as OpenCV wants them: the last row and column once more."""
    if width % 2 == 0 and height % 2 == 0:
        return raw
    light = raw[: width * height].reshape(height, width)
    light = np.pad(light, ((0, height % 2), (0, width % 2)), mode="edge")
    return np.concatenate((light.ravel(), raw[width * height :]))


def _limited(raw: _Bytes, light: int) -> _Bytes:
    """From 0..255 to what OpenCV takes YUV for: light from 16 to 235, colours from 16 to 240."""
    levels = np.arange(256)
    lights = np.round(16 + levels * (219 / 255)).astype(np.uint8)
    colours = np.round(128 + (levels - 128) * (224 / 255)).astype(np.uint8)
    return np.concatenate((lights[raw[:light]], colours[raw[light:]]))
