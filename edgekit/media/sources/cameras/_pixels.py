"""Converts the pixel formats of cameras to BGR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.media._opencv import cv2

__all__ = ["FORMATS", "JPEG_FORMATS", "to_bgr"]

_Bytes: TypeAlias = npt.NDArray[np.uint8]
_Make: TypeAlias = Callable[[_Bytes, int, int, int], Any]


def _packed(channels: int, code: int) -> _Make:
    def make(raw: _Bytes, width: int, height: int, stride: int) -> Any:
        rows = _rows(raw, width * channels, height, stride)
        return cv2.cvtColor(rows.reshape(height, width, channels), code)

    return make


def _wide(bits: int) -> _Make:
    """Returns a converter for grey in 16-bit words that use the lowest ``bits`` bits."""

    def make(raw: _Bytes, width: int, height: int, stride: int) -> Any:
        rows = _rows(raw, 2 * width, height, stride).view("<u2") >> (bits - 8)
        return cv2.cvtColor(rows.astype(np.uint8), cv2.COLOR_GRAY2BGR)

    return make


def _interleaved(code: int) -> _Make:
    """Returns a converter for luma, then a plane of interleaved chroma at half the size."""

    def make(raw: _Bytes, width: int, height: int, stride: int) -> Any:
        return cv2.cvtColor(_rows(raw, width, height * 3 // 2, stride), code)

    return make


def _planar(code: int) -> _Make:
    """Returns a converter for luma, then two chroma planes at half the size and stride."""

    def make(raw: _Bytes, width: int, height: int, stride: int) -> Any:
        light, rest = raw[: stride * height], raw[stride * height :]
        colours = _rows(rest, width // 2, height, stride // 2)
        planes = (_rows(light, width, height, stride).ravel(), colours.ravel())
        return cv2.cvtColor(np.concatenate(planes).reshape(-1, width), code)

    return make


def _rows(raw: _Bytes, used: int, height: int, stride: int) -> _Bytes:
    rows = raw[: stride * height].reshape(height, stride)
    return np.ascontiguousarray(rows[:, :used])


JPEG_FORMATS = ("MJPG", "JPEG")

_RAW: dict[str, tuple[_Make, float, float]] = {
    "YUYV": (_packed(2, cv2.COLOR_YUV2BGR_YUY2), 2, 1),
    "UYVY": (_packed(2, cv2.COLOR_YUV2BGR_UYVY), 2, 1),
    "YVYU": (_packed(2, cv2.COLOR_YUV2BGR_YVYU), 2, 1),
    "NV12": (_interleaved(cv2.COLOR_YUV2BGR_NV12), 1, 1.5),
    "NV21": (_interleaved(cv2.COLOR_YUV2BGR_NV21), 1, 1.5),
    "YU12": (_planar(cv2.COLOR_YUV2BGR_I420), 1, 1.5),
    "YV12": (_planar(cv2.COLOR_YUV2BGR_YV12), 1, 1.5),
    "BGR3": (lambda raw, w, h, stride: _rows(raw, 3 * w, h, stride).reshape(h, w, 3).copy(), 3, 1),
    "RGB3": (_packed(3, cv2.COLOR_RGB2BGR), 3, 1),
    "BGR4": (_packed(4, cv2.COLOR_BGRA2BGR), 4, 1),
    "XR24": (_packed(4, cv2.COLOR_BGRA2BGR), 4, 1),
    "AR24": (_packed(4, cv2.COLOR_BGRA2BGR), 4, 1),
    "RGBP": (_packed(2, cv2.COLOR_BGR5652BGR), 2, 1),
    "GREY": (_packed(1, cv2.COLOR_GRAY2BGR), 1, 1),
    "Y10": (_wide(10), 2, 1),
    "Y12": (_wide(12), 2, 1),
    "Y16": (_wide(16), 2, 1),
    # OpenCV names a Bayer pattern by its second row.
    "BA81": (_packed(1, cv2.COLOR_BayerRG2BGR), 1, 1),
    "GBRG": (_packed(1, cv2.COLOR_BayerGR2BGR), 1, 1),
    "GRBG": (_packed(1, cv2.COLOR_BayerGB2BGR), 1, 1),
    "RGGB": (_packed(1, cv2.COLOR_BayerBG2BGR), 1, 1),
}
"""By name: converter, bytes per pixel of the first plane, and all rows per row of that plane."""

FORMATS = (*_RAW, *JPEG_FORMATS)
"""FourCC names of the supported formats, cheapest to convert first."""


def to_bgr(data: bytes | memoryview, name: str, width: int, height: int, stride: int) -> Any:
    """Converts a camera buffer to (height, width, 3) uint8, BGR, in newly allocated memory.

    Args:
        data: Bytes of the buffer.
        name: One of ``FORMATS``.
        width: Width in pixels.
        height: Height in pixels.
        stride: Bytes per row of the first plane; 0 for rows without padding.

    Returns:
        The picture; None if bytes are missing or a JPEG cannot be decoded.
    """
    raw = np.frombuffer(data, np.uint8)
    if name in JPEG_FORMATS:
        try:
            return cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:
            return None
    make, pixel, planes = _RAW[name]
    stride = max(stride, round(width * pixel))
    if len(raw) < int(stride * height * planes):
        return None
    return make(raw, width, height, stride)
