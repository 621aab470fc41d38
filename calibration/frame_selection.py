"""Chooses calibration frames that are spread over the sequences and differ from each other.

The method is farthest-point sampling (Gonzalez, "Clustering to minimize the maximum intercluster
distance", 1985). The sequences take turns; each time the frame is chosen that differs most, in
picture and motion, from all frames chosen so far. The last quarter of each sequence is never
chosen: it is reserved for evaluating the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.types import Array

__all__ = ["Candidates", "choose", "spread"]

_SIDE = 8
_MOTION_WEIGHT = 8.0
"""Scales the mean change of a pixel, a few hundredths, to the range of picture differences."""

_KEPT_SHARE = 0.75


@dataclass(slots=True)
class Candidates:
    """Candidate frames of one sequence, in bounded memory: every ``stride``-th frame.

    Attributes:
        limit: Largest number of candidates; at twice as many, every other one is dropped.
        count: Number of frames seen so far.
        stride: Distance between two candidates, in frames.
        contrast: Largest standard deviation within a frame, in levels. The caller measures it on
            the frame without its letterbox borders.
        moves: Whether any frame differs from the frame that the cascade compares it with.
    """

    limit: int
    count: int = 0
    stride: int = 1
    contrast: float = 0.0
    moves: bool = False
    _indices: list[int] = field(default_factory=list)
    _features: list[Array] = field(default_factory=list)

    def add(
        self,
        index: int,
        previous: npt.NDArray[np.uint8] | None,
        current: npt.NDArray[np.uint8],
    ) -> None:
        """Examines the next frame.

        Args:
            index: Index of the frame; indices ascend.
            previous: Frame that the cascade compares it with, (H, W, 3) uint8; None for a first
                frame, which cannot be chosen.
            current: Current frame, (H, W, 3) uint8.
        """
        self.count = index + 1
        if previous is None or index % self.stride:
            return
        small, earlier = (_thumbnail(picture) for picture in (current, previous))
        change = float(np.abs(small - earlier).mean())
        self.moves = self.moves or bool(cv2.norm(current, previous, cv2.NORM_INF))
        picture = cv2.resize(small, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel() / 255
        self._indices.append(index)
        self._features.append(np.append(picture, _MOTION_WEIGHT * change / 255 * _SIDE))
        if len(self._indices) >= 2 * self.limit:
            self.stride *= 2
            kept = [i for i, index in enumerate(self._indices) if index % self.stride == 0]
            self._indices = [self._indices[i] for i in kept]
            self._features = [self._features[i] for i in kept]

    def to_choose(self) -> tuple[Array, Array]:
        """Returns indices (n,) and features (n, d) of the candidates for calibration."""
        end = self.count * _KEPT_SHARE
        kept = [i for i, index in enumerate(self._indices) if index < end]
        return np.array([self._indices[i] for i in kept], np.intp), np.array(
            [self._features[i] for i in kept]
        )

    def for_evaluation(self) -> Array:
        """Returns indices (n,) of the frames reserved for evaluation."""
        end = self.count * _KEPT_SHARE
        return np.array([index for index in self._indices if index >= end], np.intp)


def choose(features: list[Array], samples: int, seed: int) -> list[list[int]]:
    """Returns the positions of the chosen frames of each sequence, in order.

    Args:
        features: Features of each sequence, (n, d); n may differ and may be 0.
        samples: Number of frames to choose in total; fewer if there are not as many.
        seed: Seed for the first frame and for the order in which sequences take turns.
    """
    chosen: list[list[int]] = [[] for _ in features]
    # Distance of each frame to the nearest chosen frame.
    far = [np.full(len(values), np.inf) for values in features]
    random = np.random.default_rng(seed)
    order = [int(i) for i in random.permutation(len(features)) if len(features[i])]
    left = samples
    while order and left:
        for number in tuple(order):
            if not left:
                break
            distance = far[number]
            if not np.isfinite(distance).any():
                pick = int(random.integers(len(distance)))
            else:
                pick = int(distance.argmax())
            chosen[number].append(pick)
            left -= 1
            point = features[number][pick]
            for values, nearest in zip(features, far, strict=True):
                if len(values):
                    np.minimum(nearest, np.linalg.norm(values - point, axis=1), out=nearest)
            distance[pick] = -1
            if (distance < 0).all():
                order.remove(number)
    return [sorted(picks) for picks in chosen]


def spread(lengths: Iterable[int], samples: int) -> list[list[int]]:
    """Returns at most ``samples`` evenly spaced positions in sequences of these lengths."""
    lengths = list(lengths)
    total = sum(lengths)
    wanted = {int(place) for place in np.linspace(0, total - 1, min(samples, total)).round()}
    result, start = [], 0
    for length in lengths:
        result.append([i for i in range(length) if start + i in wanted])
        start += length
    return result


def _thumbnail(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    small = cv2.resize(picture, (4 * _SIDE, 4 * _SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)
