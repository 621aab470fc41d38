"""Makes training samples: two frames with one augmentation, and the targets of CenterNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.cascade import Cascade
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array
from edgekit.training.data.frame_reader import Picture
from edgekit.training.data.targets import Sample, targets

__all__ = ["LARGEST_SCALE", "augmented_sample"]

# Ranges of the augmentation, wide enough for other camera distances and other lighting.
_SCALE = (0.8, 1.25)
_STRETCH = 0.1
_SHIFT = 0.1

LARGEST_SCALE = _SCALE[1] * (1 + _STRETCH)
"""Largest scale of a sample, for a picture that fits the input at scale 1."""

_GAIN = (0.75, 1.3)
_CHANNEL_GAIN = 0.1
_OFFSET = 20
_FIRST_FRAME_SHARE = 0.02
_GREY_SHARE = 0.05

# Factor on the annotated interval: cameras with other rates, or with repeated frames, give pairs
# that are closer together or further apart.
_INTERVAL = (0.5, 2.0)


def augmented_sample(
    read: Callable[[int], Picture],
    index: int,
    boxes: Array,
    labels: Sequence[int] | Array,
    cascade: Cascade,
    classes: int,
    gap: int,
    rng: np.random.Generator,
) -> Sample:
    """Returns the sample of one frame and an earlier frame, both augmented in the same way.

    The frames are compared after the augmentation: if it differed between them, it would look like
    motion. The distance to the earlier frame is drawn from half to twice ``gap``, at least one
    frame.

    Args:
        read: Function that returns the frame of an index in the clip.
        index: Index of the frame in the clip.
        boxes: Boxes in the frame, (k, 4) in pixels of the video.
        labels: Class index of each box, (k,).
        cascade: Cascade that makes the network input; its size is the size of the sample.
        classes: Number of heatmap channels.
        gap: Number of frames between the two pictures that a detector compares, at the clip's rate.
        rng: Random generator for the augmentation.
    """
    height, width = cascade.size
    picture = read(index)
    fit = Letterbox.fit(picture.size, cascade.size, picture.aspect)
    scale = (
        np.array([fit.scale_x, fit.scale])
        * rng.uniform(*_SCALE)
        * (1 + rng.uniform(-_STRETCH, _STRETCH, 2))
    )
    shift = rng.uniform(-_SHIFT, _SHIFT, 2) * (width, height)
    flip = bool(rng.random() < 0.5)
    centre = np.array([picture.size[1], picture.size[0]]) / 2
    linear = scale * (-1 if flip else 1, 1)
    offset = np.array([width, height]) / 2 + shift - linear * centre
    table = _colour_table(rng)
    grey = rng.random() < _GREY_SHARE

    def changed(found: Picture) -> npt.NDArray[np.uint8]:
        image: Array = found.image
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        stored = linear / found.scale
        matrix = np.array([[stored[0], 0, offset[0]], [0, stored[1], offset[1]]])
        warped = cv2.warpAffine(cv2.LUT(image, table), matrix, (width, height))
        return warped.astype(np.uint8, copy=False)

    current = changed(picture)
    if index < gap or rng.random() < _FIRST_FRAME_SHARE:
        previous = np.zeros_like(current)
    else:
        drawn = max(1, round(gap * rng.uniform(*_INTERVAL)))
        previous = changed(read(index - min(drawn, index)))
    corners = boxes.reshape(-1, 2, 2) * linear + offset
    moved = np.concatenate([corners.min(1), corners.max(1)], 1)
    return targets(cascade.stack(previous, current), moved, labels, classes)


def _colour_table(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    gain = rng.uniform(*_GAIN) * (1 + rng.uniform(-_CHANNEL_GAIN, _CHANNEL_GAIN, 3))
    levels = np.arange(256)[:, None] * gain + rng.uniform(-_OFFSET, _OFFSET)
    return levels.clip(0, 255).astype(np.uint8)[None]
