"""Explains from a file's bytes why no reader can play it: it is empty, text, truncated."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import MediaError
from edgekit.files.reading import open_regular
from edgekit.media.sources.headers.tracks import tracks_of

__all__ = ["check_alone", "check_file", "sound_in", "unplayable", "unreadable"]

_HEAD = 1 << 16
_PLAYLIST_HEAD = 4096
_PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#EXTM3U|ffconcat version|v=0\r?\no=|# VobSub index file"
    rb"|(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:\w+:)?(?:MPD|CompositionPlaylist)\b)",
    re.I | re.S,
)
_PRIMARY = re.compile(rb"pitm(?:\0.{3}(.{2})|\x01.{3}(.{4}))", re.S)
_AUDIO = {b"ID3": "MP3", b"fLaC": "FLAC", b"OggS": "Ogg"}


def check_file(path: Path) -> None:
    """Refuses a path that is not a readable file.

    Raises:
        MediaError: The path is missing, a pipe or a device, or may not be read.
    """
    if path.is_fifo():
        raise MediaError(
            f"{path} is a named pipe; a file was expected.",
            hint=f"Pass frames through standard input: edgekit run --source - < {path}",
        )
    if path.exists() and not path.is_file():
        raise MediaError(
            f"{path} is a socket or a device; a video was expected.",
            hint=_other_source(),
        )
    if not path.is_file():
        raise MediaError(
            f"There is no file or folder {path}.",
            hint=f"Name a video, a folder of pictures or a URL: {parameter('source', 'S')}",
        )
    if not os.access(path, os.R_OK):
        raise MediaError(f"You have no permission to read {path}.", hint=f"Run: chmod u+r {path}")


def check_alone(path: Path) -> None:
    """Refuses a file that only names other files, or that decodes to something else.

    Raises:
        MediaError: The file is a playlist, a HEIC or AVIF picture in tiles, or encrypted. By chance
            a decoder accepts encrypted pictures, and shows noise.
    """
    try:
        with open_regular(path) as (file, _):
            head = file.read(_HEAD)
    except OSError:
        return  # the reader of the file reports this
    if head[4:8] == b"ftyp" and _is_tiled(head):
        raise MediaError(
            f"{path} is a picture in tiles (HEIC or AVIF); FFmpeg would read only one of them.",
            hint="Save it as JPEG: heif-convert FILE out.jpg",
        )
    if tracks_of(path).encrypted:
        raise MediaError(
            f"{path} holds encrypted video; EdgeKit has no key.", hint="Decrypt it first."
        )
    if _PLAYLIST.match(head[:_PLAYLIST_HEAD]):
        raise MediaError(
            f"{path} is a playlist: it only names other files; a video was expected.",
            hint="Join what it names: ffmpeg -i FILE -c copy joined.mp4",
        )


def unreadable(name: str, reason: str) -> MediaError:
    """Returns the error for a file whose reading failed in the middle."""
    return MediaError(
        f"{name} cannot be read any further: {reason}.", hint="Check the disk that holds it."
    )


def unplayable(path: Path, kind: str = "") -> MediaError:
    """Returns the error for a file without a decodable frame.

    Args:
        path: Path of the file.
        kind: ``sound`` if a reader found only sound, ``codec`` if it has no decoder; else empty.
    """
    try:
        with open_regular(path) as (file, size):
            if not size:
                return MediaError(
                    f"{path} is empty (0 bytes); a video was expected.",
                    hint="Copy or record it again.",
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found, hint = _diagnose(data, kind)
    except (OSError, ValueError) as error:
        return MediaError(
            f"Cannot read {path}: {error}.", hint="Check the file and its permissions."
        )
    return MediaError(f"{path} {found}", hint=hint)


def sound_in(head: bytes) -> str:
    """Returns the format name of a file that holds only sound, by its first bytes; else empty."""
    sound = next((name for magic, name in _AUDIO.items() if head.startswith(magic)), "")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        sound = "WAV"
    return "" if b"theora" in head else sound


def _is_tiled(head: bytes) -> bool:
    """Returns whether the primary item of a HEIC or AVIF picture is a grid of other items."""
    primary = _PRIMARY.search(head)
    if primary is None:
        return False
    item = int.from_bytes(primary[1] or primary[2], "big")
    short, long = re.escape((item & 0xFFFF).to_bytes(2, "big")), re.escape(item.to_bytes(4, "big"))
    grid = rb"infe(?:\x02.{3}%b|\x03.{3}%b).{2}grid" % (short, long)
    return re.search(grid, head, re.S) is not None


def _diagnose(data: mmap.mmap, kind: str) -> tuple[str, str]:
    sound = sound_in(data[:4096])
    if sound:
        return f"holds sound only ({sound}); a video was expected.", _other_source()
    if data[4:8] == b"ftyp":
        if data.find(b"moov") < 0:
            return (
                "is truncated: its index (the 'moov' box, which recorders write last) is missing, "
                "so no frame can be decoded.",
                "Copy it again, record it again, or repair it with a tool like untrunc.",
            )
        if data.find(b"vide") < 0:
            return (
                "holds sound only (an MP4 without a video track); a video was expected.",
                _other_source(),
            )
    if kind == "sound":
        return "holds sound only; a video was expected.", _other_source()
    encode = "Re-encode it with: ffmpeg -i FILE out.mp4"
    if kind == "codec":
        return "holds video of a codec that FFmpeg cannot decode here.", encode
    return (
        "holds no video that can be decoded here.",
        f"See what it is with: ffprobe FILE. {encode}",
    )


def _other_source() -> str:
    video = parameter("source", "VIDEO")
    return f"Name a file with pictures in it: {video}, or a folder of frames."
