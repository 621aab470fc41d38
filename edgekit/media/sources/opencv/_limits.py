"""Refuses files that OpenCV would read wrongly, from their containers and packets.

OpenCV's FFmpeg cannot convert interlaced frames and some colours, and OpenCV then returns
uninitialized memory.
OpenCV reads the first video stream, even if it is a cover picture. It ignores mirroring, and
rotation that H.264 or HEVC declares but the container does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import MissingDependencyError
from edgekit.media._opencv import cv2, file_backend
from edgekit.media.sources._frame_clock import is_bare
from edgekit.media.sources._protocols import file_limits, in_opencv
from edgekit.media.sources.headers._nal import has_orientation
from edgekit.media.sources.headers.colours import declares_unconvertible
from edgekit.media.sources.headers.frame_rate import declared_rate
from edgekit.media.sources.headers.interlacing import is_interlaced
from edgekit.media.sources.headers.pixel_aspect import believable_aspect
from edgekit.media.sources.headers.tracks import tracks_of
from edgekit.media.sources.opencv.capture import whole
from edgekit.media.sources.source import name_of
from edgekit.system.leaving import inside

__all__ = [
    "Outline",
    "aspect_of",
    "check_connection",
    "check_readable",
    "check_stream",
    "declared_fps",
]

_LOOKED_AT = 32
_NAMES = {"av01": "AV1"}


class Outline(NamedTuple):
    """Facts about a file from its packets.

    Attributes:
        codec: FourCC; empty if OpenCV gives no packets.
        times: Presentation times of the first frames, in seconds.
        interlaced: Whether frames may consist of two fields.
        turned: Whether the codec's own data rotates or mirrors the frames.
        convertible: Whether FFmpeg's scaler converts the colours that the codec declares.
    """

    codec: str = ""
    times: tuple[float, ...] = ()
    interlaced: bool = False
    turned: bool = False
    convertible: bool = True


def check_readable(path: Path) -> Outline:
    """Refuses a file that OpenCV would read wrongly; returns the facts about other files.

    Raises:
        MissingDependencyError: The file needs an extra; the message says why.
    """
    with inside():
        outline = _look(path)
    tracks = tracks_of(path)
    reason = ""
    if outline.codec.lower() in _NAMES:
        reason = f"video of the codec {_NAMES[outline.codec.lower()]}"
    elif outline.interlaced or tracks.interlaced:
        reason = "interlaced video"
    elif tracks.videos > 1:
        reason = f"one of {tracks.videos} video streams"
    elif tracks.mirrored:
        reason = "video that is stored mirrored"
    elif outline.turned:
        reason = "video that its codec turns"
    elif not (outline.convertible and tracks.convertible):
        reason = "video with unusual colours"
    if reason:
        raise MissingDependencyError.for_extra("av", "video", f"Reading {reason} ({name_of(path)})")
    return outline


def check_stream(path: Path, capture: Any, outline: Outline) -> None:
    """Refuses a file whose cover picture OpenCV reads as the video.

    Raises:
        MissingDependencyError: The file needs an extra, which the message names.
    """
    if outline.codec and _codec_of(capture) != outline.codec:
        purpose = f"Reading a video with a cover picture ({name_of(path)})"
        raise MissingDependencyError.for_extra("av", "video", purpose)


def check_connection(capture: Any, name: str) -> None:
    """Refuses a stream that OpenCV would read wrongly.

    Args:
        capture: Open capture of OpenCV.
        name: Name of the stream, without secrets.

    Raises:
        MissingDependencyError: The stream needs an extra, which the message names.
    """
    codec, headers = _codec_of(capture), _headers_of(capture)
    reason = ""
    if is_interlaced(codec, headers, ()):
        reason = "interlaced video"
    elif declares_unconvertible(codec, headers, ()):
        reason = "video with unusual colours"
    if reason:
        raise MissingDependencyError.for_extra("av", "video", f"Reading {reason} ({name})")


def aspect_of(capture: Any, name: str) -> float:
    """Returns the pixel aspect ratio (width over height) of the pictures of an OpenCV capture."""
    across, down = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    aspect = believable_aspect(across / down if down else 0.0, name)
    turned = whole(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 180 != 0
    return 1 / aspect if turned else aspect


def declared_fps(capture: Any) -> tuple[float, bool]:
    """Returns the frames per second that a video declares, and whether its pictures have times.

    For video without a container, OpenCV invents times from FFmpeg's constant rate. The declared
    rate is 0 if it is unknown.
    """
    if not is_bare(capture.get(cv2.CAP_PROP_POS_AVI_RATIO)):
        return float(capture.get(cv2.CAP_PROP_FPS)), True
    rate = declared_rate(_codec_of(capture), _headers_of(capture))
    return rate, not rate


def _headers_of(capture: Any) -> bytes:
    place = int(capture.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX))
    good, headers = capture.retrieve(flag=place) if place > 0 else (False, None)
    return bytes(headers.tobytes()) if good and headers is not None else b""


def _look(path: Path) -> Outline:
    with in_opencv(file_limits(())):
        place = str(path.absolute())
        capture = cv2.VideoCapture(place, file_backend(), [cv2.CAP_PROP_FORMAT, -1])
    try:
        if not capture.isOpened() or capture.get(cv2.CAP_PROP_FORMAT) != -1:
            return Outline()
        packets: list[bytes] = []
        times: list[float] = []
        while len(packets) < _LOOKED_AT:
            good, packet = capture.read()
            if not good or packet is None:
                break
            packets.append(packet.tobytes())
            times.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3)
        codec, extradata = _codec_of(capture), _headers_of(capture)
        interlaced = is_interlaced(codec, extradata, packets)
        convertible = not declares_unconvertible(codec, extradata, packets)
        turned = has_orientation(codec, packets)
        return Outline(codec, tuple(times), interlaced, turned, convertible)
    finally:
        capture.release()


def _codec_of(capture: Any) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return code.to_bytes(4, "little").decode("latin-1")
