"""What a source of frames is."""

from __future__ import annotations

import abc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit._closing import Closing
from edgekit.runtime.types import Frame

__all__ = ["DEFAULT_FPS", "MOST_PIXELS", "Source", "SourceOptions", "name_of"]

DEFAULT_FPS = 25.0
"""Assumed where a source does not say."""

MOST_PIXELS = 1 << 26
"""Of a frame that a stream or a pipe may have: twice 8K, 192 MiB as BGR."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is to be read; each kind of source takes what concerns it.

    Attributes:
        rtsp_transport: ``tcp`` or ``udp``.
        patience: Seconds without a picture after which a stream counts as broken.
        catches_up: Whether a stream that falls behind may leave pictures out to catch up.
        camera_size: Width and height to ask a camera for; None leaves the choice to EdgeKit.
        camera_format: Pixel format to ask a camera for, such as ``MJPG``; None for any.
        camera_fps: Frames a second to ask a camera for; None for 30 or what is nearest.
        raw_size: Width and height of raw frames on standard input.
        raw_fps: How many of them are a second.
        raw_format: How they lie in memory: one of ``edgekit.media._pixels.LAYOUTS``.
    """

    rtsp_transport: str = "tcp"
    patience: float = 10.0
    catches_up: bool = True
    camera_size: tuple[int, int] | None = None
    camera_format: str | None = None
    camera_fps: float | None = None
    raw_size: tuple[int, int] | None = None
    raw_fps: float = DEFAULT_FPS
    raw_format: str = "bgr24"


def name_of(path: Path) -> str:
    """A path for people and for UTF-8 files, whatever bytes it is made of."""
    return os.fsencode(path).decode(errors="replace")


class Source(Closing):
    """Gives frames, one after the other. A context manager; open once it is made.

    A source implements ``read`` and ``close`` and sets the attributes; after each frame it sets
    ``position`` to the frame's index plus 1, or further on where it had to skip some. The ``close``
    of one that ``reopens`` may be called while another thread hangs in its ``read``, and does not
    wait for that thread.

    Attributes:
        name: For people.
        width: Pixels; 0 where unknown before the first frame.
        height: Pixels; 0 where unknown before the first frame.
        fps: Frames a second, as declared or else assumed.
        frames: Their number as declared; None where unknown.
        live: Whether frames come whether or not they are asked for.
        position: Index that the next frame would have.
        reopens: Whether a live source can be opened anew where it fails; it then implements
            ``reopened``.
        sample_aspect: Width of a pixel over its height.
    """

    name: str = ""
    width: int = 0
    height: int = 0
    fps: float = DEFAULT_FPS
    frames: int | None = None
    live: bool = False
    position: int = 0
    reopens: bool = False
    sample_aspect: float = 1.0

    @abc.abstractmethod
    def read(self) -> Frame | None:
        """The next frame, or None at the end.

        Raises:
            MediaError: There should be more, but it cannot be read.
        """

    def reopened(self) -> Source:
        """A new open source of the same, whose indices begin at 0; only of one that ``reopens``.

        Raises:
            MediaError: It cannot be opened now.
        """
        raise NotImplementedError

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.read()) is not None:
            yield frame
