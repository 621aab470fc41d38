"""Pairs each frame of calibration footage with the earlier one that the cascade needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle
from edgekit.calibration.sequences import FrameSequence
from edgekit.calibration.store import key_of
from edgekit.detector import cascade_of, recent_frames_of
from edgekit.runtime.types import Frame

__all__ = ["frame_pairs", "samples_key"]


def samples_key(bundle: Bundle, footage: Sequence[FrameSequence], *parts: object) -> str:
    """Returns the key of what the footage, the preprocessing and ``parts`` determine."""
    manifest = bundle.manifest
    content = [sequence.sha256 for sequence in footage]
    return key_of(manifest.input, manifest.cascade, content, *parts)


def frame_pairs(
    bundle: Bundle, sequence: FrameSequence, *, again: bool = False, progress: Progress = SILENT
) -> Iterator[tuple[Frame, int, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """Yields each frame, the number of gapless frames before it, and the pair that is compared.

    The pair is the letterboxed earlier frame and the letterboxed current frame, (H, W, 3) uint8. A
    change of size also counts as a gap.

    Args:
        bundle: Bundle whose manifest defines the preprocessing.
        sequence: Frames to read.
        again: Whether the frames were read before, so that problems were already reported.
        progress: Progress display, called for each frame.

    Raises:
        MediaError: A frame cannot be read.
    """
    cascade, recent = cascade_of(bundle), recent_frames_of(bundle)
    before, shape = 0, None
    for frame in sequence.frames(again=again, progress=progress):
        if recent is not None:
            frame = recent.add(frame)
        now = (frame.image.shape, frame.sample_aspect)
        if frame.earlier is None and (frame.gap or now != shape):
            cascade.reset()
            before = 0
        shape = now
        previous, current, _ = cascade.pair(frame.image, frame.sample_aspect, frame.earlier)
        yield frame, before, previous, current
        before += 1
