"""Deinterlaces video with FFmpeg's yadif filter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["Deinterlacer"]

_FILTER = "yadif"
_SETTINGS = "mode=send_frame:parity=auto:deint=interlaced"


class Deinterlacer:
    """Deinterlaces frames with a delay of one frame; changes only frames flagged interlaced.

    Args:
        frame: First frame, from PyAV; all frames must have its size and format.
    """

    def __init__(self, frame: Any) -> None:
        from av.filter import Graph

        self._form = _form(frame)
        self._graph = Graph()
        width, height, layout, *_ = self._form
        self._tick = frame.time_base
        source = self._graph.add(
            "buffer",
            f"video_size={width}x{height}:pix_fmt={layout}:time_base={self._tick}:pixel_aspect=1/1",
        )
        nodes = [source, self._graph.add(_FILTER, _SETTINGS), self._graph.add("buffersink")]
        self._graph.link_nodes(*nodes).configure()

    def suits(self, frame: Any) -> bool:
        """Returns whether a frame has the size and format of the previous frames."""
        return _form(frame) == self._form

    def push(self, frame: Any) -> Iterator[Any]:
        """Takes a frame, or None at the end, and yields the completed frames."""
        self._graph.push(frame)
        with contextlib.suppress(BlockingIOError, EOFError):
            while True:
                made: Any = self._graph.pull()
                if made.pts is not None:  # the filter counts in half ticks
                    made.pts = int(made.pts * made.time_base / self._tick)
                made.time_base = self._tick
                yield made


def _form(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
