"""Which frames: spread over the sequences, and unlike each other in picture and in motion.

Farthest-point sampling (Gonzalez, "Clustering to minimize the maximum intercluster distance",
1985), where the sequences choose in turn: each time the frame that differs most from all that are
chosen already. The last quarter of every sequence is never chosen: it is what a model is judged by.
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
"""Brings the mean change of a pixel, a few hundredths, to the size of differences in picture."""

_KEPT_SHARE = 0.75


@dataclass(slots=True)
class Candidates:
    """Frames of one sequence that may be chosen, in bounded memory: every ``stride``-th.

    Attributes:
        limit: How many at most; at twice as many every other one is dropped.
        count: Frames of the sequence so far.
        stride: Of the frames that may be chosen.
        contrast: Largest standard deviation within a frame, in levels; the caller's to measure, on
            the frame without what its letterbox adds.
        moves: Whether any frame differs from the one that the cascade compares it with.
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
        """Looks at the next frame.

        Args:
            index: Of the frame; ascending.
            previous: What the cascade compares it with, (H, W, 3) uint8; None for a first frame,
                which is no candidate.
            current: The frame, (H, W, 3) uint8.
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
        """Indices (n,) and features (n, d) of those that calibration may have."""
        end = self.count * _KEPT_SHARE
        kept = [i for i, index in enumerate(self._indices) if index < end]
        return np.array([self._indices[i] for i in kept], np.intp), np.array(
            [self._features[i] for i in kept]
        )

    def to_judge(self) -> Array:
        """Indices (n,) of those that calibration may not have."""
        end = self.count * _KEPT_SHARE
        return np.array([index for index in self._indices if index >= end], np.intp)


def choose(features: list[Array], samples: int, seed: int) -> list[list[int]]:
    """The positions of the chosen frames of each sequence, in order.

    Args:
        features: (n, d) of each sequence; n may differ and may be 0.
        samples: How many in all, or as many as there are.
        seed: Of the first frame of all, and of the order in which sequences choose.
    """
    chosen: list[list[int]] = [[] for _ in features]
    # How far each frame is from the nearest that was chosen.
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
    """Positions of at most ``samples`` frames, evenly spaced over sequences of given lengths."""
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
