"""Makes training samples: two frames with one augmentation, and the targets of CenterNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edgekit.runtime.cascade import Cascade
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array
from edgekit.training.data.augmentation import AUGMENTATIONS, Image
from edgekit.training.data.frame_reader import Picture
from edgekit.training.data.targets import Sample, targets

__all__ = ["augmented_sample"]


def augmented_sample(
    read: Callable[[int], Picture],
    index: int,
    boxes: Array,
    labels: Sequence[int] | Array,
    cascade: Cascade,
    classes: int,
    gap: int,
    rng: np.random.Generator,
    augmentation: str = "wide",
) -> Sample:
    """Returns the sample of one frame and an earlier frame, both moved in the same way.

    The frames are compared after the augmentation: another place would look like motion. With
    ``wide``, the colours change alike too, and the distance to the earlier frame is drawn from half
    to twice ``gap``, at least one frame.

    Args:
        read: Function that returns the frame of an index in the clip.
        index: Index of the frame in the clip.
        boxes: Boxes in the frame, (k, 4) in pixels of the video.
        labels: Class index of each box, (k,).
        cascade: Cascade that makes the network input; its size is the size of the sample.
        classes: Number of heatmap channels.
        gap: Number of frames between the two pictures that a detector compares, at the clip's rate.
        rng: Random generator for the augmentation.
        augmentation: Name in ``AUGMENTATIONS``.
    """
    height, width = cascade.size
    picture = read(index)
    fit = Letterbox.fit(picture.size, cascade.size, picture.aspect)
    drawn = AUGMENTATIONS[augmentation](picture.size, fit, cascade.size, index, gap, rng)

    def changed(found: Picture, recolour: Callable[[Image], Image]) -> Image:
        stored = drawn.linear / found.scale
        matrix = np.array([[stored[0], 0, drawn.offset[0]], [0, stored[1], drawn.offset[1]]])
        warped = cv2.warpAffine(recolour(found.image), matrix, (width, height))
        return warped.astype(np.uint8, copy=False)

    current = changed(picture, drawn.current)
    if drawn.distance is None:
        previous = np.zeros_like(current)
    else:
        previous = changed(read(index - drawn.distance), drawn.previous)
    corners = boxes.reshape(-1, 2, 2) * drawn.linear + drawn.offset
    moved = np.concatenate([corners.min(1), corners.max(1)], 1)
    return targets(cascade.stack(previous, current), moved, labels, classes)
