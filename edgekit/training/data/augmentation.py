"""Augments samples: draws the crop, the colours and the earlier frame of each at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array

__all__ = ["AUGMENTATIONS", "LARGEST_SCALES", "Augmentation", "Draw", "Image"]

Image: TypeAlias = npt.NDArray[np.uint8]

# Ranges of "wide": other camera distances and other lighting than in the clips.
_SCALE = (0.8, 1.25)
_STRETCH = 0.1
_SHIFT = 0.1
_GAIN = (0.75, 1.3)
_CHANNEL_GAIN = 0.1
_OFFSET = 20
_FIRST_FRAME_SHARE = 0.02
_GREY_SHARE = 0.05

# Factor on the annotated interval: cameras with other rates, or with repeated frames, give pairs
# that are closer together or further apart.
_INTERVAL = (0.5, 2.0)

# Ranges of "centernet", those of its published code for detection (ctdet).
_CROPS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
_BORDER = 128
_JITTER = 0.4
_LIGHT = 0.1
# Principal components of the colours of ImageNet, for pixels in [0, 1], in the order B, G, R.
_DEVIATIONS = np.array([0.2141788, 0.01817699, 0.00341571])
_COMPONENTS = np.array(
    [
        [-0.58752847, -0.69563484, 0.41340352],
        [-0.5832747, 0.00994535, -0.81221408],
        [-0.56089297, 0.71832671, 0.41158938],
    ]
)

LARGEST_SCALES = {"wide": _SCALE[1] * (1 + _STRETCH), "centernet": 1 / _CROPS[0]}
"""Largest scale of a sample, for a picture that fits the input at scale 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Augmentation:
    """Random changes of one sample.

    Attributes:
        linear: Pixels of the input for each pixel of the video in x and y, (2,); x is negative in a
            mirrored sample.
        offset: Place of the video's upper left corner in the input, (2,).
        current: Function that changes the colours of the frame.
        previous: Function that changes the colours of the earlier frame.
        distance: Number of frames to the earlier frame; None for a first frame, without any.
    """

    linear: Array
    offset: Array
    current: Callable[[Image], Image]
    previous: Callable[[Image], Image]
    distance: int | None


class Draw(Protocol):
    """Function that draws an augmentation."""

    def __call__(
        self,
        picture: tuple[int, int],
        fit: Letterbox,
        size: tuple[int, int],
        index: int,
        gap: int,
        rng: np.random.Generator,
    ) -> Augmentation:
        """Returns the changes of one sample.

        Args:
            picture: Height and width of the video.
            fit: How its frames fit the input.
            size: Height and width of the input.
            index: Index of the frame in its clip.
            gap: Number of frames to the earlier picture of a detector, at the clip's rate.
            rng: Random generator.
        """


def _wide(
    picture: tuple[int, int],
    fit: Letterbox,
    size: tuple[int, int],
    index: int,
    gap: int,
    rng: np.random.Generator,
) -> Augmentation:
    height, width = size
    scale = (
        np.array([fit.scale_x, fit.scale])
        * rng.uniform(*_SCALE)
        * (1 + rng.uniform(-_STRETCH, _STRETCH, 2))
    )
    shift = rng.uniform(-_SHIFT, _SHIFT, 2) * (width, height)
    linear = scale * (-1 if rng.random() < 0.5 else 1, 1)
    offset = np.array([width, height]) / 2 + shift - linear * (picture[1] / 2, picture[0] / 2)
    table = _colour_table(rng)
    grey = rng.random() < _GREY_SHARE

    def recolour(image: Image) -> Image:
        source: Array = image
        if grey:
            source = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        return cv2.LUT(source, table).astype(np.uint8, copy=False)

    distance = None
    if index >= gap and rng.random() >= _FIRST_FRAME_SHARE:
        distance = min(max(1, round(gap * rng.uniform(*_INTERVAL))), index)
    return Augmentation(linear, offset, recolour, recolour, distance)


def _colour_table(rng: np.random.Generator) -> Image:
    gain = rng.uniform(*_GAIN) * (1 + rng.uniform(-_CHANNEL_GAIN, _CHANNEL_GAIN, 3))
    levels = np.arange(256)[:, None] * gain + rng.uniform(-_OFFSET, _OFFSET)
    return levels.clip(0, 255).astype(np.uint8)[None]


def _centernet(
    picture: tuple[int, int],
    fit: Letterbox,
    size: tuple[int, int],
    index: int,
    gap: int,
    rng: np.random.Generator,
) -> Augmentation:
    scale = np.array([fit.scale_x, fit.scale]) / rng.choice(_CROPS)
    linear = scale * (-1 if rng.random() < 0.5 else 1, 1)
    centre = [rng.integers(border, side - border) for side, border in _borders(picture)]
    offset = np.array([size[1], size[0]]) / 2 - linear * (centre[1], centre[0])
    # KORSAL's code draws the colours of the two frames by themselves.
    current, previous = _colour_jitter(rng), _colour_jitter(rng)
    return Augmentation(linear, offset, current, previous, gap if index >= gap else None)


def _borders(picture: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns each side with the margin that the centre of a crop keeps: under half the side."""
    found = []
    for side in picture:
        border = _BORDER
        while side <= 2 * border:
            border //= 2
        found.append((side, border))
    return found


def _colour_jitter(rng: np.random.Generator) -> Callable[[Image], Image]:
    """Draws brightness, contrast and saturation, in random order, and a tint of the light."""
    order = rng.permutation(3)
    factors = 1 + rng.uniform(-_JITTER, _JITTER, 3)
    light = _COMPONENTS @ (_DEVIATIONS * rng.normal(0, _LIGHT, 3))

    def recolour(image: Image) -> Image:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
        # Brightness moves to black, contrast to the mean, and saturation to grey.
        anchors: tuple[Array | float, ...] = (0.0, float(grey.mean()), grey)
        changed: Array = image.astype(np.float32)
        for kind in order:
            changed = factors[kind] * changed + (1 - factors[kind]) * anchors[kind]
        return np.rint(changed + 255 * light).clip(0, 255).astype(np.uint8)

    return recolour


AUGMENTATIONS: dict[str, Draw] = {"wide": _wide, "centernet": _centernet}
"""Augmentations by their names in ``edgekit.training.settings.AUGMENTATIONS``."""
