"""Finds the number of frames, size and rate of a video without decoding all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["VideoFacts", "facts_of"]


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """Facts that a video or a folder of pictures declares.

    Attributes:
        frames: Number of frames; None if the file does not tell.
        width: Width in pixels.
        height: Height in pixels.
        fps: Frames per second.
    """

    frames: int | None
    width: int
    height: int
    fps: float


def facts_of(path: Path) -> VideoFacts:
    """Returns what a video declares. Of a folder, the pictures are counted and one is read.

    Raises:
        MediaError: The video is missing or cannot be read.
    """
    from edgekit.media import open_source

    with open_source(path) as source:
        width, height = source.width, source.height
        if not (width and height) and (frame := source.read()) is not None:
            height, width = frame.image.shape[:2]
        return VideoFacts(source.frames, width, height, source.fps)
