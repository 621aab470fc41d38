"""From what a user names to the source that reads it."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import UsageError
from edgekit.media.pictures import PICTURES, FramesSource
from edgekit.media.source import Source
from edgekit.media.video import CameraSource, FileSource, StreamSource

__all__ = ["open_source"]


def open_source(spec: str | int | Path) -> Source:
    """Opens a source.

    Args:
        spec: A camera's number; or a video, picture, folder of pictures, or URL.

    Raises:
        MediaError: It is not there or cannot be read; says what to do.
        UsageError: It is ``-`` or nothing.
    """
    if isinstance(spec, int):
        return CameraSource(spec)
    text = str(spec)
    if text == "-":
        raise UsageError(
            "Raw frames from standard input are not read yet.",
            mend="Name a file, a folder of pictures or a URL: --source S",
        )
    if not text:
        raise UsageError("--source is empty.", mend="Name a file, a folder or a URL: --source S")
    if "://" in text and not text.startswith("file://"):
        return StreamSource(text)
    path = Path(text.removeprefix("file://"))
    if path.is_char_device():
        return CameraSource(str(path))
    if path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURES):
        return FramesSource(path)
    return FileSource(path)
