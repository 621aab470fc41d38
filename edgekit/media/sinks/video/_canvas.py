"""Draws the frames of a run as pictures of one size, for a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edgekit.media.drawing.annotator import Annotator
from edgekit.pipeline.results import FrameResult, RunInfo
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array

__all__ = ["Canvas"]


class Canvas:
    """Draws frames in the size of the first one; others are fitted into it.

    Args:
        info: Description of the run.
        open_video: Function that opens the video for pictures of a size (height, width) in pixels.
            It is called at once if the size of the source is known, and again for a first frame of
            another size or with other pixels: a source that was lost may come back with them.
    """

    def __init__(
        self, info: RunInfo, open_video: Callable[[tuple[int, int], RunInfo], None]
    ) -> None:
        self._info = info
        self._open_video = open_video
        self._annotator = Annotator(info.classes)
        self._size: tuple[int, int] | None = None
        self._empty = True
        if info.width and info.height:
            self._open((info.height, info.width))

    def name_classes(self, classes: Sequence[str]) -> None:
        """Draws these names of classes from now on."""
        self._annotator.name_classes(classes)

    def draw(self, result: FrameResult) -> Any:
        """Returns the picture of a frame, BGR, in the size for which the video is open."""
        image = self._annotator.draw_result(result)
        size, aspect = (image.shape[0], image.shape[1]), result.frame.sample_aspect
        other = (size, aspect) != (self._size, self._info.sample_aspect)
        if self._size is None or (self._empty and other):
            self._info = replace(self._info.seen(result.frame), sample_aspect=aspect)
            self._open(size)
        self._empty = False
        return _fitted(image, self._size or size, aspect / self._info.sample_aspect)

    def _open(self, size: tuple[int, int]) -> None:
        self._open_video(size, self._info)
        self._size = size


def _fitted(image: Array, size: tuple[int, int], aspect: float) -> Array:
    """Fits a picture into a size; ``aspect`` is its pixel aspect ratio over that of the video."""
    if image.shape[:2] == size and aspect == 1:
        return image
    return Letterbox.fit((image.shape[0], image.shape[1]), size, aspect).apply(image)
