"""Draws some frames of a dataset with their boxes."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.errors import AnnotationError, MediaError
from edgekit.runtime.types import Frame

__all__ = ["contact_sheet"]

_LOG = logging.getLogger(__name__)
_WIDTH, _HEIGHT, _CAPTION, _COLUMNS = 320, 240, 22, 4
_PAPER, _LETTERS = 32, 60


def contact_sheet(truth: Truth, most: int = 24) -> npt.NDArray[np.uint8]:
    """Returns a picture of frames with their boxes: of each class in turn, evenly over its videos.

    Args:
        truth: Dataset. Videos that cannot be read are left out, with a warning.
        most: Largest number of frames.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        AnnotationError: No annotated video can be read.
    """
    tiles = []
    for video, frame in _chosen(truth, most):
        try:
            tiles.append(_tile(truth, video, frame))
        except MediaError as error:
            _LOG.warning("Left out of the sheet: %s", error.message)
    if not tiles:
        raise AnnotationError(
            "None of the chosen videos can be drawn, because none can be read.",
            hint="Run: edgekit dataset check ROOT",
        )
    columns = min(_COLUMNS, len(tiles))
    tiles += [np.full_like(tiles[0], _PAPER)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[place : place + columns]) for place in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _chosen(truth: Truth, most: int) -> list[tuple[VideoTruth, int]]:
    """Returns videos with a frame in the middle of one of their tubes."""
    classes: list[list[tuple[VideoTruth, int]]] = [[] for _ in truth.classes]
    for video in truth.videos:
        if video.path is None or not video.path.exists():
            continue
        for label in {tube.label for tube in video.tubes}:
            tube = next(tube for tube in video.tubes if tube.label == label)
            classes[label].append((video, (tube.start + tube.end) // 2))
    filled = [found for found in classes if found]
    if not filled:
        return []
    each = max(1, most // len(filled))
    picked = []
    for found in filled:
        places = np.linspace(0, len(found) - 1, min(each, len(found))).round().astype(int)
        picked += [found[place] for place in dict.fromkeys(places.tolist())]
    return picked[:most]


def _tile(truth: Truth, video: VideoTruth, frame: int) -> npt.NDArray[np.uint8]:
    from edgekit.media.drawing.square_pixels import in_size, shown_size
    from edgekit.media.drawing.text import colour_of, put_text

    assert video.path is not None
    found = _frame(video.path, frame)
    width, height = shown_size(found)
    scale = min(_WIDTH / width, _HEIGHT / height)
    small = in_size(found.image, width * scale, height * scale)
    scales = np.divide(small.shape[1::-1], found.image.shape[1::-1])
    tile = np.full((_HEIGHT + _CAPTION, _WIDTH, 3), _PAPER, np.uint8)
    left = (_WIDTH - small.shape[1]) // 2
    picture = tile[: small.shape[0], left : left + small.shape[1]]
    picture[:] = small
    named = []
    for tube in video.tubes:
        if tube.start <= frame <= tube.end:
            corners = tube.boxes[frame - tube.start].reshape(2, 2) * scales
            first, last = corners.clip(-1e4, 1e4).round().astype(int).tolist()
            cv2.rectangle(picture, first, last, colour_of(tube.label), 2)
            named.append(truth.classes[tube.label])
    words = f"{', '.join(dict.fromkeys(named))} | {Path(video.name).name} #{frame}"
    shown = words.encode("ascii", "replace").decode()
    put_text(
        tile,
        shown if len(shown) <= _LETTERS else f"{shown[: _LETTERS - 2]}..",
        (4, _HEIGHT + 15),
        8,
        (230, 230, 230),
    )
    return tile


def _frame(path: Path, index: int) -> Frame:
    """Returns one frame of a video or folder of pictures.

    Raises:
        MediaError: It cannot be read, or the video ends before it.
    """
    from edgekit.media import open_source

    with open_source(path) as source:
        for frame in source:
            if frame.index >= index:
                return frame
    raise MediaError(f"{path} ends before frame {index}.")
