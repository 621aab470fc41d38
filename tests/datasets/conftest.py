"""Fixtures of all tests of datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


def write_clip(path: Path, frames: int = 30, size: tuple[int, int] = (64, 48)) -> Path:
    """Writes a video of 25 frames a second, or pictures where the name has no ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [np.full((size[1], size[0], 3), 8 * (n % 30), np.uint8) for n in range(frames)]
    if path.suffix:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, size)
        for picture in pictures:
            writer.write(picture)
        writer.release()
    else:
        path.mkdir()
        for number, picture in enumerate(pictures, 1):
            cv2.imwrite(str(path / f"{number:05d}.jpg"), picture)
    return path


@pytest.fixture
def endless_clip(tmp_path: Path) -> Callable[[Path], Path]:
    """Writes a video of 30 pictures that does not say how many it has, as cameras record them."""

    def write(path: Path) -> Path:
        pictures = write_clip(tmp_path / "pictures", 30)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(each.read_bytes() for each in sorted(pictures.iterdir())))
        return path

    return write


@pytest.fixture
def clip() -> Callable[..., Path]:
    """Writes a video or a folder of pictures: path, frames (30), size in pixels (64, 48)."""
    return write_clip
