"""Why a file cannot be played, as far as its bytes tell."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgekit.errors import MediaError

__all__ = ["unplayable"]

_AUDIO = {b"ID3": "MP3", b"fLaC": "FLAC", b"OggS": "Ogg"}


def unplayable(path: Path) -> MediaError:
    """The error for a file in which no frame could be decoded."""
    try:
        size = path.stat().st_size
        if not size:
            return MediaError(
                f"{path} is empty (0 bytes); a video was expected.",
                mend="Copy or record it again.",
            )
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found, mend = _judge(data)
    except (OSError, ValueError) as error:
        return MediaError(f"Cannot read {path}: {error}.", mend="Check the file and its rights.")
    return MediaError(f"{path} {found}", mend=mend)


def _judge(data: mmap.mmap) -> tuple[str, str]:
    other = "Name a file with pictures in it: --source VIDEO, or a folder of frames."
    head = data[:16]
    sound = next((name for magic, name in _AUDIO.items() if head.startswith(magic)), "")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        sound = "WAV"
    if sound and data.find(b"theora", 0, 4096) < 0:
        return f"holds sound only ({sound}); a video was expected.", other
    if head[4:8] == b"ftyp":
        if data.find(b"moov") < 0:
            return (
                "is truncated: its index (the 'moov' box, which recorders write last) is missing, "
                "so no frame can be decoded.",
                "Copy it again, record it again, or repair it with a tool like untrunc.",
            )
        if data.find(b"vide") < 0:
            return "holds sound only (an MP4 without a video track); a video was expected.", other
    return (
        "holds no video that this OpenCV can decode: it is damaged, truncated, sound only, "
        "or no video at all.",
        "See what it is with: ffprobe FILE. Re-encode it with: ffmpeg -i FILE out.mp4",
    )
