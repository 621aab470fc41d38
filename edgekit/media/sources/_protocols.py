"""Limits what FFmpeg may open for a source: one file, or the protocols of an address.

FFmpeg reads prefixes of a name as protocols (``concat:``, ``subfile:``, ``async:``). Some formats
name further files or addresses (playlists, SDP). A video from an untrusted sender must not use
either.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["file_limits", "in_opencv", "name_for_ffmpeg", "stream_limits"]

_LISTS = frozenset(
    ("avisynth", "concat", "dash", "hls", "imf", "lavfi", "sdp", "vobsub", "webm_dash_manifest")
)
"""Formats that only name other files or addresses."""

_HTTP = "http,https,tls,tcp,httpproxy,crypto"
_PROTOCOLS = {
    "rtsp": "rtp,srtp,udp,tcp",
    "rtsps": "rtp,srtp,udp,tcp,tls",
    "http": _HTTP,
    "https": _HTTP,
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tls,tcp",
}
_SETTINGS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_SETTING = threading.RLock()


def name_for_ffmpeg(path: Path) -> str:
    """Returns a path in a form that FFmpeg can only read as a path."""
    return f"file:{path.absolute()}"


def file_limits(formats: Iterable[str]) -> dict[str, str]:
    """Returns options that limit FFmpeg to one file.

    Args:
        formats: Names of all formats that this FFmpeg reads; empty if unknown.
    """
    return {"protocol_whitelist": "file", "pattern_type": "none", **_without_lists(tuple(formats))}


def stream_limits(address: str) -> dict[str, str]:
    """Returns options that limit FFmpeg to the protocols of the address's scheme."""
    scheme = address.partition(":")[0].lower()
    return {"protocol_whitelist": _PROTOCOLS.get(scheme, scheme)}


@functools.cache
def _without_lists(formats: tuple[str, ...]) -> Mapping[str, str]:
    kept = sorted(set(formats) - _LISTS)
    return {"format_whitelist": ",".join(kept)} if kept else {}


@contextlib.contextmanager
def in_opencv(options: Mapping[str, str]) -> Iterator[None]:
    """Passes options to OpenCV's FFmpeg while the block runs; the user's own options win.

    Protocol limits, however, override the options in the environment.
    """
    with _SETTING:
        given = os.environ.get(_SETTINGS)
        parts = [f"{name};{value}" for name, value in options.items()]
        if given is not None:
            limits = [part for part in parts if part.startswith("protocol_whitelist;")]
            parts = [given, *limits]
        os.environ[_SETTINGS] = "|".join(parts)
        try:
            yield
        finally:
            if given is None:
                del os.environ[_SETTINGS]
            else:
                os.environ[_SETTINGS] = given
