"""Early labels: the class that the linker gives a video after a share of its frames."""

from __future__ import annotations

import math
from collections.abc import Collection

from edgekit.linking.confirmation import ConfirmedLinker
from edgekit.linking.tracker import OnlineLinker
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Detections

__all__ = ["SHARES", "early_labels"]

SHARES = tuple(tenth / 10 for tenth in range(1, 11))
"""Shares of a video after which its class is compared."""


def early_labels(
    frames: FrameDetections, right: Collection[int], classes: int, linker: ConfirmedLinker
) -> list[bool]:
    """Returns whether the class of a video was right after each of ``SHARES`` of its frames.

    The class is that of the confirmed tube with the highest score so far, as ``edgekit run`` would
    have reported it at that moment. A video without a confirmed tube is wrong.

    Args:
        frames: Detections of the whole video, of which later ones are not looked at.
        right: Classes that are annotated in the video.
        classes: Number of classes.
        linker: New linker.
    """
    best: dict[int, tuple[float, int]] = {}
    seen = []
    for index, found in enumerate(frames):
        if found is None and isinstance(linker.linker, OnlineLinker):
            linker.skip(1)
        else:
            # The published linkers have no notion of an unprocessed frame.
            given = Detections.empty(classes) if found is None else found
            update = linker.update(given, index / frames.fps)
            best.update({tube.id: (tube.score, tube.label) for tube in update.live})
        seen.append(max(best.values(), default=(0.0, -1))[1] in right)
    # A share of 0.1 of 30 frames is 3 frames, although 0.1 * 30 is more in binary.
    return [seen[max(math.ceil(share * len(seen) - 1e-9), 1) - 1] for share in SHARES]
