"""Draws a contact sheet: one picture of calibration frames."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.calibration.samples import Samples
from edgekit.runtime.kinds import similarity_scale

__all__ = ["contact_sheet"]

_SIDE = 112
_COLUMNS = 8
_MOST = 48


def contact_sheet(samples: Samples) -> npt.NDArray[np.uint8]:
    """Returns evenly spaced frames of the samples, each above its SSIM map if there is one.

    Args:
        samples: Samples to draw from; at most 48 are shown.

    Returns:
        (H, W, 3) uint8, BGR. Dark areas of a map are where something moved.
    """
    shown = np.linspace(0, len(samples) - 1, min(_MOST, len(samples))).round().astype(int)
    tiles = [_tile(samples, int(index)) for index in shown]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)


def _tile(samples: Samples, index: int) -> npt.NDArray[np.uint8]:
    parts = [samples.pairs[index][1]]
    tensor = samples.tensor(index)
    if len(tensor) == 6:
        factor, offset = similarity_scale(samples.kind)
        similarity = (factor * tensor[3:].transpose(1, 2, 0) + offset + 1) * 127.5
        parts.append(similarity.clip(0, 255).astype(np.uint8))
    small = [cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for part in parts]
    return np.pad(np.vstack(small), ((0, 6), (0, 6), (0, 0)), constant_values=255)
