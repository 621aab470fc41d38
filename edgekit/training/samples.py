"""Training samples: two frames of a clip, augmented alike, and the truth as CenterNet's targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.errors import MediaError
from edgekit.media import open_source
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from edgekit.metrics.annotations import VideoTruth

__all__ = ["Clip", "Sample", "augmented_sample", "load_clip", "targets"]

STRIDE = 4
MAX_ACTORS = 32

# Ranges of the augmentation, wide enough for another camera distance and another light.
_SCALE = (0.8, 1.25)
_STRETCH = 0.1
_SHIFT = 0.1
_GAIN = (0.75, 1.3)
_CHANNEL_GAIN = 0.1
_OFFSET = 20
_FIRST_FRAME_SHARE = 0.02
_GREY_SHARE = 0.05

# Times the interval that was annotated: cameras of other rates, or that repeat frames, give pairs
# that are closer together or further apart.
_INTERVAL = (0.5, 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A decoded video and who acts where in it.

    Attributes:
        name: Of the video.
        label: Class index of the video as a whole; -1 for one in which nothing is annotated.
        frames: (n, H, W, 3) uint8, BGR.
        boxes: For each frame (k, 4), source pixels.
        labels: For each frame (k,) int.
        dataset: Number of the dataset that it is from.
        sample_aspect: Width of a pixel over its height.
    """

    name: str
    label: int
    frames: npt.NDArray[np.uint8]
    boxes: list[Array]
    labels: list[Array]
    dataset: int = 0
    sample_aspect: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        input: (channels, h, w) float32.
        heatmap: (classes, h/4, w/4) float32 in [0, 1], 1 at each centre.
        cells: (MAX_ACTORS,) int64, the flat grid index of each centre.
        sizes: (MAX_ACTORS, 2) float32, width and height in cells.
        offsets: (MAX_ACTORS, 2) float32, centre less its cell's corner.
        mask: (MAX_ACTORS,) float32, 1 where there is an actor.
    """

    input: Array
    heatmap: Array
    cells: Array
    sizes: Array
    offsets: Array
    mask: Array


def load_clip(
    video: VideoTruth, keep: tuple[float, float] = (0.0, 1.0), *, dataset: int = 0
) -> Clip:
    """Decodes a video and lays its truth out by frame.

    Args:
        video: Its annotation, with its path.
        keep: First and last share of the video to take, in [0, 1].
        dataset: Number of the dataset that it is from.

    Raises:
        MediaError: The video cannot be read, or holds fewer frames than its annotation says.
    """
    if video.path is None:
        raise MediaError(f"Where the annotated video '{video.name}' lies is not known.")
    with open_source(video.path) as source:
        frames = [frame.image for frame in source]
        sample_aspect = source.sample_aspect
    if len(frames) < video.frames:
        raise MediaError(
            f"{video.path} holds {len(frames)} frames, and its annotation says {video.frames}.",
            mend="Use the video that was annotated, or correct the annotation.",
        )
    boxes: list[list[Array]] = [[] for _ in frames]
    labels: list[list[int]] = [[] for _ in frames]
    for tube in video.tubes:
        for index, box in enumerate(np.asarray(tube.boxes, np.float64), tube.start):
            boxes[index].append(box)
            labels[index].append(tube.label)
    first, last = (round(share * video.frames) for share in keep)
    kept = range(first, max(last, first + 1))
    return Clip(
        video.name,
        _label_of(video),
        np.stack([frames[i] for i in kept]),
        [np.array(boxes[i], np.float64).reshape(-1, 4) for i in kept],
        [np.array(labels[i], np.int64) for i in kept],
        dataset,
        sample_aspect,
    )


def _label_of(video: VideoTruth) -> int:
    """The class under which a video is drawn; -1 for one in which nothing is annotated."""
    if video.label is not None:
        return video.label
    labels = [tube.label for tube in video.tubes]
    return max(set(labels), key=labels.count) if labels else -1


def augmented_sample(
    clip: Clip, index: int, cascade: Cascade, classes: int, gap: int, rng: np.random.Generator
) -> Sample:
    """The sample of one frame and an earlier one, which goes through the very same change.

    Only then are the two compared: an augmentation that differed between them would look like
    motion. How far back the earlier frame lies is drawn from half to twice ``gap``, and is one
    frame at least.

    Args:
        clip: Where the frame is from.
        index: Of the frame.
        cascade: Makes the input; its size is the sample's.
        classes: Channels of the heatmap.
        gap: Frames between the two pictures that a detector compares at the clip's own rate.
        rng: Draws the augmentation.
    """
    height, width = cascade.size
    source = (clip.frames.shape[1], clip.frames.shape[2])
    fit = Letterbox.fit(source, cascade.size, clip.sample_aspect)
    scale = (
        np.array([fit.scale_x, fit.scale])
        * rng.uniform(*_SCALE)
        * (1 + rng.uniform(-_STRETCH, _STRETCH, 2))
    )
    shift = rng.uniform(-_SHIFT, _SHIFT, 2) * (width, height)
    flip = bool(rng.random() < 0.5)
    centre = np.array([clip.frames.shape[2], clip.frames.shape[1]]) / 2
    x_scale = -scale[0] if flip else scale[0]
    linear = np.array([x_scale, scale[1]])
    offset = np.array([width, height]) / 2 + shift - linear * centre
    matrix = np.array([[linear[0], 0, offset[0]], [0, linear[1], offset[1]]])
    table = _colour_table(rng)
    grey = rng.random() < _GREY_SHARE

    def changed(image: Array) -> npt.NDArray[np.uint8]:
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        warped = cv2.warpAffine(cv2.LUT(image, table), matrix, (width, height))
        return warped.astype(np.uint8, copy=False)

    current = changed(clip.frames[index])
    if index < gap or rng.random() < _FIRST_FRAME_SHARE:
        previous = np.zeros_like(current)
    else:
        drawn = max(1, round(gap * rng.uniform(*_INTERVAL)))
        previous = changed(clip.frames[index - min(drawn, index)])
    corners = clip.boxes[index].reshape(-1, 2, 2) * linear + offset
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    return targets(cascade.stack(previous, current), boxes, clip.labels[index], classes)


def _colour_table(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    gain = rng.uniform(*_GAIN) * (1 + rng.uniform(-_CHANNEL_GAIN, _CHANNEL_GAIN, 3))
    levels = np.arange(256)[:, None] * gain + rng.uniform(-_OFFSET, _OFFSET)
    return levels.clip(0, 255).astype(np.uint8)[None]


def targets(tensor: Array, boxes: Array, labels: Sequence[int] | Array, classes: int) -> Sample:
    """CenterNet's training targets (Zhou et al., arXiv 1904.07850, section 4).

    Args:
        tensor: (channels, h, w), the network input.
        boxes: (k, 4) in input pixels; parts outside the input are cut off.
        labels: (k,).
        classes: Channels of the heatmap.
    """
    height, width = tensor.shape[1] // STRIDE, tensor.shape[2] // STRIDE
    heatmap = np.zeros((classes, height, width), np.float32)
    cells = np.zeros(MAX_ACTORS, np.int64)
    sizes, offsets = np.zeros((2, MAX_ACTORS, 2), np.float32)
    mask = np.zeros(MAX_ACTORS, np.float32)
    limit = np.array([width, height, width, height], np.float64)
    count = 0
    for box, label in zip(boxes / STRIDE, labels, strict=True):
        x1, y1, x2, y2 = np.clip(box, 0, limit)
        w, h = x2 - x1, y2 - y1
        if w < 1 or h < 1 or count == MAX_ACTORS:
            continue
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        column, row = min(int(x), width - 1), min(int(y), height - 1)
        _draw_peak(heatmap[label], column, row, max(0, int(_radius(h, w))))
        cells[count] = row * width + column
        sizes[count] = w, h
        offsets[count] = x - column, y - row
        mask[count] = 1
        count += 1
    return Sample(tensor, heatmap, cells, sizes, offsets, mask)


def _radius(height: float, width: float, overlap: float = 0.7) -> float:
    """How far a corner may move, in cells, for an IoU of ``overlap`` (CornerNet, 1808.01244).

    The least of three cases: both corners out, both in, one of each.
    """
    perimeter, area = height + width, height * width
    cases = (
        (1, -perimeter, area * (1 - overlap) / (1 + overlap)),
        (4, -2 * perimeter, (1 - overlap) * area),
        (4 * overlap, 2 * overlap * perimeter, (overlap - 1) * area),
    )
    roots = [(-b - np.sqrt(b * b - 4 * a * c)) / (2 * a) for a, b, c in cases[:2]]
    a, b, c = cases[2]
    roots.append((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a))
    return float(min(roots))


def _draw_peak(plane: Array, column: int, row: int, radius: int) -> None:
    """A Gaussian of standard deviation (2 r + 1) / 6, where it is above what is there."""
    height, width = plane.shape
    deviation = (2 * radius + 1) / 6
    rows = np.arange(max(0, row - radius), min(height, row + radius + 1))
    columns = np.arange(max(0, column - radius), min(width, column + radius + 1))
    distance = (rows[:, None] - row) ** 2 + (columns[None] - column) ** 2
    peak = np.exp(-distance / (2 * deviation * deviation))
    part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.maximum(part, peak, out=part)
