"""Reads the shipped photographs, and moves them like video frames, to verify an export."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.errors import MediaError

__all__ = ["verification_frames"]

_FRAMES = Path(__file__).parent / "frames"
_MOVES = {
    "astronaut": (1.0, 3.0, 1.004),
    "chelsea": (-2.0, 0.5, 1.0),
    "coffee": (0.0, 0.0, 1.015),
}
"""Pixels right and down that the camera moves each frame, and how much it zooms in."""


def verification_frames(length: int = 3) -> list[list[npt.NDArray[np.uint8]]]:
    """Short clips of three photographs, over which a camera pans and zooms.

    Args:
        length: Frames of each clip.

    Returns:
        A clip for each photograph: frames (200, 280, 3) uint8, BGR, the same on every call.

    Raises:
        MediaError: The installation lacks the photographs.
    """
    return [_clip(_FRAMES / f"{name}.jpg", move, length) for name, move in _MOVES.items()]


def _clip(path: Path, move: tuple[float, float, float], length: int) -> list[npt.NDArray[np.uint8]]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise MediaError(
            f"EdgeKit's built-in picture {path} is missing from this installation.",
            hint="Reinstall EdgeKit.",
        )
    right, down, zoom = move
    height, width = picture.shape[0] - 40, picture.shape[1] - 40
    frames = []
    for index in range(length):
        scale = zoom**index
        left = 20 + right * index + width * (1 - 1 / scale) / 2
        top = 20 + down * index + height * (1 - 1 / scale) / 2
        matrix = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
        frame = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)
        frames.append(frame.astype(np.uint8, copy=False))
    return frames
