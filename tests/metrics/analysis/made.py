"""Makes annotated tubes, and saved detections with errors of every kind."""

from __future__ import annotations

import numpy as np

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.runtime.types import Detections

__all__ = ["CLASSES", "random_tubes", "saved"]

CLASSES = ["run", "jump", "sit"]


def random_tubes(seed: int, frames: int, classes: int) -> list[TruthTube]:
    """Up to three tubes anywhere in a video, whose boxes jump from frame to frame."""
    random = np.random.default_rng(seed)
    tubes = []
    for _ in range(int(random.integers(0, 4))):
        start = int(random.integers(0, frames))
        length = int(random.integers(1, frames - start + 1))
        corner = random.integers(0, 4, (length, 2)) * 12.5
        tubes.append(
            TruthTube(int(random.integers(classes)), start, np.hstack((corner, corner + 40)))
        )
    return tubes


def saved(videos: int, *, seed: int = 0, right: float = 0.7, frames: int = 30) -> SavedDetections:
    """Videos of one or two actors each, whose boxes have the right class in a share of them.

    The ground truth depends on the number of a video only; ``seed`` and ``right`` change what was
    found.
    """
    return SavedDetections(
        list(CLASSES), [_video(number, seed, right, frames) for number in range(videos)]
    )


def _video(number: int, seed: int, right: float, frames: int) -> SavedVideo:
    truth_random = np.random.default_rng(number)
    random = np.random.default_rng([number, seed])
    tubes, rows = [], []
    for actor in range(1 + number % 2):
        label = int(truth_random.integers(len(CLASSES)))
        left = 20.0 + 150 * actor + truth_random.uniform(0, 3) * np.arange(frames)
        box = np.stack([left, np.full(frames, 40.0), left + 60, np.full(frames, 160.0)], axis=1)
        tubes.append(TruthTube(label, 4, box[4 : frames - 4]))
        found = label if random.random() < right else (label + 1) % len(CLASSES)
        scores = np.zeros((frames, len(CLASSES)))
        scores[:, found] = random.uniform(0.4, 0.9, frames)
        rows.append((box + random.normal(0, 6, 4), scores))
    detections = [
        Detections(
            np.stack([box[frame] for box, _ in rows]),
            np.stack([scores[frame] for _, scores in rows]),
        )
        for frame in range(frames)
    ]
    truth = VideoTruth(f"v{number}", frames, 320, 240, tubes, tubes[0].label)
    return SavedVideo(truth, detections)
