"""Makes training samples: two frames with one augmentation, and the targets of CenterNet."""

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
    from edgekit.datasets.annotations import VideoTruth

__all__ = ["Sample", "TrainingClip", "augmented_sample", "load_clip", "targets"]

STRIDE = 4
MAX_ACTORS = 32

# Ranges of the augmentation, wide enough for other camera distances and other lighting.
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


@dataclass(frozen=True, slots=True, eq=False)
class TrainingClip:
    """A decoded video with its annotated actors.

    Attributes:
        name: Name of the video.
        label: Class index of the video as a whole; -1 if nothing in it is annotated.
        frames: Frames, (n, H, W, 3) uint8, BGR.
        boxes: Boxes of each frame, (k, 4) in source pixels.
        labels: Class indices of each frame, (k,) int.
        dataset: Index of the dataset that the video is from.
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
        input: Network input, (channels, h, w) float32.
        heatmap: Target heatmap, (classes, h/4, w/4) float32 in [0, 1], 1 at each centre.
        cells: Flat grid index of each centre, (MAX_ACTORS,) int64.
        sizes: Width and height of each box in cells, (MAX_ACTORS, 2) float32.
        offsets: Each centre minus the corner of its cell, in cells, (MAX_ACTORS, 2) float32.
        mask: 1 where there is an actor and 0 elsewhere, (MAX_ACTORS,) float32.
    """

    input: Array
    heatmap: Array
    cells: Array
    sizes: Array
    offsets: Array
    mask: Array


def load_clip(
    video: VideoTruth, keep: tuple[float, float] = (0.0, 1.0), *, dataset: int = 0
) -> TrainingClip:
    """Decodes a video and arranges its annotations by frame.

    Args:
        video: Annotation of the video, with its path.
        keep: Start and end of the part to take, as shares of the video in [0, 1].
        dataset: Index of the dataset that the video is from.

    Raises:
        MediaError: The video cannot be read, or has fewer frames than its annotation says.
    """
    if video.path is None:
        raise MediaError(
            f"The annotations name the video '{video.name}', but EdgeKit did not find its file.",
            hint="Put the video into the folder of its annotations.",
        )
    with open_source(video.path) as source:
        frames = [frame.image for frame in source]
        sample_aspect = source.sample_aspect
    if len(frames) < video.frames:
        raise MediaError(
            f"{video.path} holds {len(frames)} frames, and its annotation says {video.frames}.",
            hint="Use the video that was annotated, or correct the annotation.",
        )
    boxes: list[list[Array]] = [[] for _ in frames]
    labels: list[list[int]] = [[] for _ in frames]
    for tube in video.tubes:
        for index, box in enumerate(np.asarray(tube.boxes, np.float64), tube.start):
            boxes[index].append(box)
            labels[index].append(tube.label)
    first, last = (round(share * video.frames) for share in keep)
    kept = range(first, max(last, first + 1))
    return TrainingClip(
        video.name,
        _label_of(video),
        np.stack([frames[i] for i in kept]),
        [np.array(boxes[i], np.float64).reshape(-1, 4) for i in kept],
        [np.array(labels[i], np.int64) for i in kept],
        dataset,
        sample_aspect,
    )


def _label_of(video: VideoTruth) -> int:
    """Returns the class under which a video is sampled; -1 if nothing in it is annotated."""
    if video.label is not None:
        return video.label
    labels = [tube.label for tube in video.tubes]
    return max(set(labels), key=labels.count) if labels else -1


def augmented_sample(
    clip: TrainingClip,
    index: int,
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
        clip: Clip that the frame is from.
        index: Index of the frame in the clip.
        cascade: Cascade that makes the network input; its size is the size of the sample.
        classes: Number of heatmap channels.
        gap: Number of frames between the two pictures that a detector compares, at the clip's rate.
        rng: Random generator for the augmentation.
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
    """Returns CenterNet's training targets (Zhou et al., arXiv 1904.07850, section 4).

    Args:
        tensor: Network input, (channels, h, w).
        boxes: Boxes, (k, 4) in input pixels; parts outside the input are cut off.
        labels: Class index of each box, (k,).
        classes: Number of heatmap channels.
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
    """Returns how far a corner may move, in cells, for an IoU of ``overlap`` (arXiv 1808.01244).

    The result is the smallest of three cases: both corners outside, both inside, one of each.
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
    """Draws a Gaussian of standard deviation (2 r + 1) / 6 where it exceeds the current value."""
    height, width = plane.shape
    deviation = (2 * radius + 1) / 6
    rows = np.arange(max(0, row - radius), min(height, row + radius + 1))
    columns = np.arange(max(0, column - radius), min(width, column + radius + 1))
    distance = (rows[:, None] - row) ** 2 + (columns[None] - column) ** 2
    peak = np.exp(-distance / (2 * deviation * deviation))
    part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.maximum(part, peak, out=part)
