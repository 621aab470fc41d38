"""Provides the default clip for speed, and the clips for accuracy."""

from __future__ import annotations

from pathlib import Path

import cv2

from edgekit.benchmarks.protocol import LEAST, pass_length, too_short
from edgekit.benchmarks.report.report import FootageInfo
from edgekit.demo import DEMO_SEED
from edgekit.errors import MediaError, OutputError, UsageError
from edgekit.media import open_source
from edgekit.media.sources.address import is_address, without_secrets
from edgekit.synthetic import render_clip, write_dataset
from edgekit.synthetic.dataset import FPS, refuse_incomplete

__all__ = ["DEMO_NAME", "check_footage", "write_annotated_clips", "write_demo_clip"]

DEMO_NAME = f"puppets, seed {DEMO_SEED}"
_DEMO_FRAMES = 130
_FORMATS = (("mp4v", ".mp4"), ("MJPG", ".avi"))
_ANNOTATED_SEEDS = (500, 501, 502, 503)
"""Seeds of clips that the shipped model was not trained on."""


def write_demo_clip(folder: Path) -> Path:
    """Writes the clip of ``edgekit demo``, compressed as a camera would; returns its path.

    Raises:
        OutputError: This OpenCV cannot write video, or the disk is full.
    """
    clip = render_clip(DEMO_SEED, frames=_DEMO_FRAMES)
    for codec, ending in _FORMATS:
        path = folder / f"demo{ending}"
        code = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), code, FPS, clip.size[::-1])
        if writer.isOpened():
            for image in clip:
                writer.write(image)
            writer.release()
            refuse_incomplete(path, len(clip))
            return path
    raise OutputError(
        "This OpenCV cannot write the clip to measure on.",
        hint="Name footage of your own: edgekit bench --source FILE",
    )


def write_annotated_clips(folder: Path) -> Path:
    """Writes lossless rendered clips with their annotations; returns their folder."""
    root = folder / "annotated"
    write_dataset(root, _ANNOTATED_SEEDS)
    return root


def check_footage(source: str, name: str) -> FootageInfo:
    """Returns size and length of the footage that is about to be played.

    Args:
        source: File or folder of pictures.
        name: Name of the footage in the report.

    Raises:
        UsageError: The source is live, a pipe or on the network, so no two rounds would be equal.
        MediaError: The source cannot be read, or is too short.
    """
    hint = "Name a video or a folder of pictures: edgekit bench --source FILE"
    if source == "-" or is_address(source):
        shown = without_secrets(source) if is_address(source) else "Standard input"
        raise UsageError(
            f"{shown} is not a file. Every round has to measure the same frames.", hint=hint
        )
    with open_source(source) as opened:
        if opened.live:
            raise UsageError(
                f"{opened.name} is live. Every round has to measure the same frames.", hint=hint
            )
        if opened.frames is not None and opened.frames < pass_length(LEAST):
            raise too_short(source, opened.frames)
        frame = opened.read()
        if frame is None:
            raise MediaError(f"{source} has no frames.", hint=hint)
        height, width = frame.image.shape[:2]
        return FootageInfo(name=name, width=width, height=height, frames=opened.frames)
