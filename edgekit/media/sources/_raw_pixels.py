"""Converts raw pictures in the layouts of ``ffmpeg -f rawvideo`` to BGR."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.media._opencv import cv2

__all__ = ["frame_bytes", "to_bgr"]

_Bytes = npt.NDArray[np.uint8]


def frame_bytes(layout: str, width: int, height: int) -> int:
    """Returns the size of a picture in bytes; odd chroma sides are rounded up, as in FFmpeg."""
    if layout in ("bgr24", "rgb24"):
        return 3 * width * height
    if layout == "gray8":
        return width * height
    return width * height + 2 * _half(width) * _half(height)


def to_bgr(raw: _Bytes, layout: str, width: int, height: int, *, full: bool = False) -> _Bytes:
    """Converts a picture to (height, width, 3) uint8, BGR, with the colours of BT.601.

    Args:
        raw: Flat array of ``frame_bytes`` bytes; the result may share its memory.
        layout: One of ``edgekit.media.choices.RAW_FORMATS``.
        width: Width in pixels.
        height: Height in pixels.
        full: Whether YUV values span 0 to 255, rather than 16 to 235.
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
    """Repeats the last row and column of odd sides, because OpenCV needs even sides."""
    if width % 2 == 0 and height % 2 == 0:
        return raw
    light = raw[: width * height].reshape(height, width)
    light = np.pad(light, ((0, height % 2), (0, width % 2)), mode="edge")
    return np.concatenate((light.ravel(), raw[width * height :]))


def _limited(raw: _Bytes, light: int) -> _Bytes:
    """Scales values from 0..255 to OpenCV's range: luma 16 to 235, chroma 16 to 240."""
    levels = np.arange(256)
    lights = np.round(16 + levels * (219 / 255)).astype(np.uint8)
    colours = np.round(128 + (levels - 128) * (224 / 255)).astype(np.uint8)
    return np.concatenate((lights[raw[:light]], colours[raw[light:]]))
