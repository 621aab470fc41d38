"""Follows the shape of a video's pixels, which may change midway."""

from __future__ import annotations

from typing import Any

from edgekit.media.sources.headers.pixel_aspect import believable_aspect

__all__ = ["PixelShape"]

_SAME = 0.01
"""Largest relative change of the ratio that counts as rounding of the pictures' sizes."""


class PixelShape:
    """Gives the pixel aspect ratio (width over height) of each picture of a video stream.

    A broadcast may switch between 4:3 and 16:9 without another size. If later pictures are scaled
    to the size of the first one, and their sides have another ratio, their pixels change shape.

    Args:
        stream: Video stream of PyAV.
        name: Name of the source, for messages.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self._context = stream.codec_context
        self._name = name
        declared = stream.sample_aspect_ratio or self._context.sample_aspect_ratio
        self._coded = declared
        self._stored = self._last = believable_aspect(declared, name)
        self._begun = self._follows = False

    def of(self, frame: Any, size: tuple[int, int]) -> float:
        """Returns the ratio for a picture.

        Args:
            frame: Newest picture that PyAV has decoded.
            size: Width and height to which it is scaled.
        """
        coded = self._context.sample_aspect_ratio
        if not self._begun:
            # A container that declares another ratio than its codec overrules it.
            self._begun, self._follows = True, coded == self._coded
        # The decoder tells a new ratio some pictures early; it begins with a key frame.
        elif self._follows and frame.key_frame and coded != self._coded:
            self._coded, self._stored = coded, believable_aspect(coded, self._name)
        found = self._stored * (frame.width * size[1]) / (frame.height * size[0])
        if abs(found / self._last - 1) > _SAME:
            self._last = found
        return self._last
