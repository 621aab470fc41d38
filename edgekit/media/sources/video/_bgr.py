"""Converts decoded pictures to BGR, in memory that FFmpeg uses again."""

from __future__ import annotations

from typing import Any

from edgekit.media.sources.video._colours import ColourChoice
from edgekit.runtime.types import Array

__all__ = ["BgrConverter"]


class BgrConverter:
    """Converts the frames of one stream with FFmpeg's ``scale`` filter.

    The filter takes its pictures from a pool. PyAV's own conversion allocates a new picture each
    time; glibc (before 2.38) cannot use the aligned memory of freed pictures again, and so the
    memory of several large live sources grew to twice its size.

    Args:
        name: Name of the source, for messages.
    """

    def __init__(self, name: str) -> None:
        self._colours = ColourChoice(name)
        self._form: tuple[Any, ...] = ()
        self._graph: Any = None

    def convert(self, frame: Any, size: tuple[int, int]) -> Array:
        """Returns the picture of a frame of PyAV, (H, W, 3) uint8, in memory of its own.

        Args:
            frame: Decoded frame.
            size: Width and height of the result, in pixels.
        """
        settings = self._colours.settings(frame)
        colours = (int(frame.colorspace), int(frame.color_range))
        stored = (frame.width, frame.height, frame.format.name)
        form = (*stored, *colours, *size, *settings.items())
        if form != self._form:
            self._form, self._graph = form, self._graph_for(stored, colours, size, settings)
        self._graph.push(frame)
        image: Array = self._graph.pull().to_ndarray()
        # A frame that was BGR already shares the decoder's memory.
        return image.copy() if stored == (*size, "bgr24") else image

    def _graph_for(
        self,
        stored: tuple[int, int, str],
        colours: tuple[int, int],
        size: tuple[int, int],
        settings: dict[str, int],
    ) -> Any:
        from av.filter import Graph

        graph = Graph()
        if self._colours.applies:
            graph.threads = 1  # more threads slow down small pictures
        given = "video_size={}x{}:pix_fmt={}:time_base=1/1:colorspace={}:range={}"
        nodes = [graph.add("buffer", given.format(*stored, *colours))]
        wanted = {"w": size[0], "h": size[1], "flags": "bicubic", **settings}
        nodes.append(
            graph.add("scale", ":".join(f"{key}={value}" for key, value in wanted.items()))
        )
        nodes += [graph.add("format", "pix_fmts=bgr24"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph
