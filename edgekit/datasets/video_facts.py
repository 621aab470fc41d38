"""Finds the number of frames, size and rate of a video without decoding all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import AnnotationError, MediaError

if TYPE_CHECKING:
    from edgekit.datasets.annotations import VideoTruth

__all__ = [
    "VideoFacts",
    "decoded",
    "facts_of",
    "other_frames",
    "other_size",
    "refuse_other_frames",
    "refuse_other_size",
    "refuse_other_video",
]

_ROUNDED = 0.02
"""Largest difference of a side from its annotation, as a share: tools round sizes."""


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


def decoded(path: Path) -> tuple[int, tuple[int, int]]:
    """Returns the number of frames of a video, all of which it decodes, and height and width.

    Raises:
        MediaError: The video is missing or cannot be read.
    """
    from edgekit.media import open_source

    count, size = 0, (0, 0)
    with open_source(path) as source:
        for frame in source:
            count, size = count + 1, (frame.image.shape[0], frame.image.shape[1])
    return count, size


def other_frames(video: VideoTruth, frames: int) -> str:
    """Returns a sentence if a video has another number of frames than annotated; "" if not."""
    if frames == video.frames:
        return ""
    return f"{video.path} has {frames} frames, and its annotation says {video.frames}."


def other_size(video: VideoTruth, size: tuple[int, int]) -> str:
    """Returns a sentence if a video has another size than annotated; "" if not.

    Args:
        video: Annotation of the video.
        size: Height and width of its pictures in pixels.
    """
    said = video.height, video.width
    if all(abs(one - other) <= _ROUNDED * other for one, other in zip(size, said, strict=True)):
        return ""
    return (
        f"{video.path} has {size[1]}x{size[0]} pixels, and its annotation says "
        f"{video.width}x{video.height}."
    )


def refuse_other_frames(video: VideoTruth, frames: int) -> None:
    """Raises if a video has another number of frames than its annotation says.

    Raises:
        AnnotationError: It has.
    """
    if what := other_frames(video, frames):
        raise AnnotationError(
            what,
            hint="Use the video that was annotated, cut it to the annotated frames, or correct the "
            "annotation. edgekit dataset check lists all such videos.",
        )


def refuse_other_video(video: VideoTruth, *, longer: bool = False) -> None:
    """Raises, before long work, if a video is not the annotated one.

    A video file is decoded if it declares another number of frames, because some hold others than
    they declare.

    Args:
        video: Annotation of the video.
        longer: Whether the video may have more frames than annotated.

    Raises:
        MediaError: It has another size, or cannot be read.
        AnnotationError: It has another number of frames.
    """
    path = video.require_path()
    facts = facts_of(path)
    refuse_other_size(video, (facts.height, facts.width))

    def fits(frames: int) -> bool:
        return frames == video.frames or (longer and frames > video.frames)

    frames = facts.frames
    if frames is None or (path.is_file() and not fits(frames)):
        frames, _ = decoded(path)
    if not fits(frames):
        refuse_other_frames(video, frames)


def refuse_other_size(video: VideoTruth, size: tuple[int, int] | None = None) -> None:
    """Raises if a video has another size than its annotation says: its boxes would be elsewhere.

    Args:
        video: Annotation of the video.
        size: Height and width of its pictures in pixels; None to ask the video.

    Raises:
        MediaError: It has, or it cannot be read.
    """
    if size is None:
        facts = facts_of(video.require_path())
        size = facts.height, facts.width
    if what := other_size(video, size):
        raise MediaError(
            what,
            hint="Use the video that was annotated, or correct the annotation. edgekit dataset "
            "check lists all such videos.",
        )
