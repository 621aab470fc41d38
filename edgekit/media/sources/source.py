"""Base class of all sources of frames, and the options to open them."""

from __future__ import annotations

import abc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit._checks import as_size, check_choice, check_range, unexpected, unless_none
from edgekit._closing import Closing
from edgekit._options import check_types
from edgekit.media.choices import RAW_FORMATS, RTSP_TRANSPORTS
from edgekit.runtime.types import Frame

__all__ = ["DEFAULT_FPS", "MOST_PIXELS", "Source", "SourceOptions", "name_of"]

DEFAULT_FPS = 25.0
"""Frames per second assumed if a source declares none."""

MOST_PIXELS = 1 << 26
"""Largest number of pixels in a frame of a stream or pipe: twice 8K, 192 MiB as BGR."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options for opening a source; each kind of source uses those that concern it.

    Attributes:
        rtsp_transport: Transport protocol of RTSP: ``tcp`` or ``udp``.
        patience: Seconds without a picture after which a stream counts as broken.
        catches_up: Whether a stream that falls behind may drop pictures to catch up.
        camera_size: Requested camera width and height in pixels; None leaves it to EdgeKit.
        camera_format: Requested camera pixel format, such as ``MJPG``; None for any.
        camera_fps: Requested camera frames per second; None for 30 or the nearest rate.
        raw_size: Width and height in pixels of raw frames on standard input.
        raw_fps: Frames per second of raw frames on standard input.
        raw_format: Layout of raw frames: one of ``edgekit.media.choices.RAW_FORMATS``.

    Raises:
        UsageError: A value has the wrong type, is out of range or is no possible choice.
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

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("rtsp_transport", self.rtsp_transport, RTSP_TRANSPORTS)
        check_choice("raw_format", self.raw_format, RAW_FORMATS)
        check_range("patience", self.patience, 0, above=True)
        check_range("camera_fps", self.camera_fps, 0, 1000, above=True)
        check_range("raw_fps", self.raw_fps, 0, 1000, above=True)
        text = self.camera_format
        if text is not None and not (3 <= len(text) <= 4 and text.isascii() and text.isprintable()):
            raise unexpected("camera_format", "a pixel format of four letters such as MJPG", text)
        for name in ("camera_size", "raw_size"):
            unless_none(as_size, name, getattr(self, name))


def name_of(path: Path) -> str:
    """Returns a path as text for messages and UTF-8 files, with undecodable bytes replaced."""
    return os.fsencode(path).decode(errors="replace")


class Source(Closing):
    """Gives frames one after the other. A context manager that is open once created.

    A source implements ``read`` and ``close`` and sets the attributes. After each frame, it sets
    ``position`` to the frame's index plus 1, or higher if it had to skip frames. If a source
    ``reopens``, its ``close`` may be called while another thread hangs in ``read``, and does not
    wait for that thread. Several threads may read one of EdgeKit's own sources: each frame goes to
    one of them.

    Attributes:
        name: Name for messages.
        width: Width in pixels; 0 if unknown before the first frame.
        height: Height in pixels; 0 if unknown before the first frame.
        fps: Frames per second, declared or else assumed.
        frames: Declared number of frames; None if unknown.
        live: Whether frames arrive at their own pace, requested or not.
        position: Index of the next frame.
        reopens: Whether a live source can be opened again after a failure; it then implements
            ``reopened``.
        sample_aspect: Pixel aspect ratio, width over height.
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
        """Returns the next frame, or None at the end.

        Each frame has a picture of its own, which stays as it is: later ones are compared with it.

        Raises:
            MediaError: The source should have more frames, but they cannot be read.
        """

    def reopened(self) -> Source:
        """Opens the same source again, with indices from 0; only if the source ``reopens``.

        Raises:
            MediaError: The source cannot be opened now.
        """
        raise NotImplementedError

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.read()) is not None:
            yield frame
