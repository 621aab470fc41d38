"""Small clips with annotations, as pictures and as videos."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.training.settings import Settings

SIZE = (64, 96)


def frame(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Returns a smooth picture that says which it is by its brightness."""
    rows = np.linspace(0, 60, size[0])[:, None, None]
    return np.broadcast_to(rows + 12 * number, (*size, 3)).astype(np.uint8)


def pictures(folder: Path, count: int, ending: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number + 1:05d}{ending}"), frame(number))
    return folder


def video(path: Path, count: int, size: tuple[int, int] = SIZE, fps: float = 25) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size[::-1])
    for number in range(count):
        writer.write(frame(number, size))
    writer.release()
    return path


def truth(path: Path | None, frames: int, size: tuple[int, int] = SIZE) -> VideoTruth:
    boxes = np.array([[10, 10, 40 + n, 50] for n in range(frames - 1)], float)
    tube = TruthTube(0, 1, boxes)
    return VideoTruth("name", frames, size[1], size[0], [tube], 0, path)


def of(**changes: object) -> Settings:
    """Returns the settings of a small run."""
    values = {
        "epochs": 3, "images": 20, "batch": 4, "rate": 1e-3, "slow_rate": 3e-4, "size": (128, 128),
        "seed": 3, "kind": "ssim", "frame_gap": 1, "mean": (0.4,) * 3, "std": (0.3,) * 3,
    }  # fmt: skip
    return Settings(**(values | changes))  # type: ignore[arg-type]


def annotated(root: Path, frames: int = 6) -> Path:
    """Writes a folder of one clip, as pictures, with its ``annotations.json``."""
    pictures(root / "clip", frames)
    boxes = [[10, 10, 40 + number, 50] for number in range(frames)]
    tube = {"label": 0, "start": 0, "end": frames, "boxes": boxes}
    video = {"width": SIZE[1], "height": SIZE[0], "frames": frames, "tubes": [tube]}
    content = {"classes": ["one", "two"], "videos": {"clip": video}}
    (root / "annotations.json").write_text(json.dumps(content))
    return root
