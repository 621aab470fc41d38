"""Writes rendered clips as a folder of videos with EdgeKit's annotations."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import msgspec

from edgekit.datasets.annotations import SCHEMA
from edgekit.errors import OutputError
from edgekit.files.output_paths import output_error
from edgekit.files.writing import atomic_folder
from edgekit.synthetic.clip import CLASSES, FPS, PuppetClip, render_clip

__all__ = ["FPS", "refuse_incomplete", "write_dataset", "write_video"]

_ANNOTATIONS = "annotations.json"
_ENDING = ".avi"
_CODEC = "FFV1"


def write_video(clip: PuppetClip, path: Path) -> None:
    """Writes a clip as a lossless video.

    Args:
        clip: Clip to write.
        path: File to write, ending in ``.avi`` or ``.mkv``.

    Raises:
        OutputError: This OpenCV has no FFV1 encoder, or the finished file is incomplete.
    """
    code = cv2.VideoWriter.fourcc(*_CODEC)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, clip.fps, clip.size[::-1])
    try:
        if not writer.isOpened():
            raise OutputError(
                f"This OpenCV cannot write {_CODEC} video to {path}.",
                hint="Make sure that the folder is writable, or: pip install opencv-python",
            )
        for image in clip:
            writer.write(image)
    finally:
        writer.release()
    refuse_incomplete(path, len(clip))


def refuse_incomplete(path: Path, frames: int) -> None:
    """Raises if a video that was just written lacks frames: encoders do not report a full disk.

    Args:
        path: Path of the video.
        frames: Number of frames that were written.

    Raises:
        OutputError: It has another number of frames.
    """
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    if count != frames:
        reason = f"it holds {count} frames and should hold {frames}"
        raise output_error(OSError(errno.ENOSPC, reason), path)


def write_dataset(
    folder: Path,
    seeds: Iterable[int],
    *,
    frames: int = 80,
    size: tuple[int, int] = (240, 320),
    fps: float = FPS,
    force: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> None:
    """Renders a clip for each seed into a folder that ``edgekit train`` and ``eval`` read.

    Args:
        folder: Output folder for ``annotations.json`` and ``puppets-SEED.avi``; it appears when
            everything is finished.
        seeds: Seeds, one for each clip.
        frames: Length of each clip in frames at 25 per second.
        size: Height and width of the frames.
        fps: Frames per second, from 1 to 240.
        force: Whether to replace an existing folder of such clips.
        progress: Function called with the name of each finished video.

    Raises:
        OutputError: The folder already exists, or cannot be written.
    """
    with atomic_folder(Path(folder), force=force, mark=_ANNOTATIONS) as temporary:
        videos: dict[str, Any] = {}
        for seed in seeds:
            name = f"puppets-{seed}{_ENDING}"
            clip = render_clip(seed, frames=frames, size=size, fps=fps)
            write_video(clip, temporary / name)
            videos[name] = _annotation(clip)
            progress(name)
        content = msgspec.json.encode(
            {"schema": SCHEMA, "classes": list(CLASSES), "videos": videos}
        )
        (temporary / _ANNOTATIONS).write_bytes(content)


def _annotation(clip: PuppetClip) -> dict[str, Any]:
    tubes = [
        {
            "label": tube.label,
            "start": tube.start,
            "end": tube.end,
            "boxes": [[round(value, 2) for value in box] for box in tube.boxes.tolist()],
        }
        for tube in clip.tubes
    ]
    height, width = clip.size
    return {"width": width, "height": height, "frames": len(clip), "tubes": tubes}
