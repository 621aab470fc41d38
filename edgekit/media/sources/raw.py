"""Reads raw frames that another program writes to standard input."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import NamedTuple

from edgekit._locking import one_at_a_time
from edgekit._parameters import parameter
from edgekit.errors import MediaError, UsageError
from edgekit.media.sources._pipe import Pipe
from edgekit.media.sources._raw_pixels import frame_bytes, to_bgr
from edgekit.media.sources.headers.pixel_aspect import believable_aspect
from edgekit.media.sources.headers.tracks import INTERLACED_Y4M
from edgekit.media.sources.source import DEFAULT_FPS, MOST_PIXELS, Source, SourceOptions
from edgekit.runtime.types import Array, Frame

__all__ = ["RawSource"]

_LOG = logging.getLogger(__name__)
_MAGIC = b"YUV4MPEG2"
_LONGEST_LINE = 1024
_HINT = (
    "Raw frames: ffmpeg -i CLIP -f rawvideo -pix_fmt bgr24 - | "
    "edgekit run --source - --raw-size WxH\n"
    "Or with their size in them: ffmpeg -i CLIP -f yuv4mpegpipe -pix_fmt yuv420p - | "
    "edgekit run --source -"
)


class _Form(NamedTuple):
    """Layout of the frames in the pipe."""

    width: int
    height: int
    fps: float
    layout: str
    headed: bool = False
    full: bool = False
    aspect: float = 1.0


class RawSource(Source):
    """Raw frames or YUV4MPEG2 (y4m), up to the last complete one. Not live: the writer waits.

    Args:
        descriptor: File descriptor to read; None for standard input.
        options: Size, rate and format of raw frames; y4m states its own.

    Raises:
        UsageError: Standard input is not a pipe or file, or raw frames have no size.
        MediaError: There is no complete frame, or the kind of y4m is not supported.
    """

    name = "standard input"

    def __init__(self, descriptor: int | None = None, options: SourceOptions | None = None) -> None:
        self._pipe = Pipe(_standard_input() if descriptor is None else descriptor)
        try:
            self._form = self._look(options or SourceOptions())
            self.width, self.height, self.fps = self._form[:3]
            self.sample_aspect = believable_aspect(self._form.aspect, self.name)
            self._first = self._picture()
            if self._first is None:
                raise MediaError("Standard input ended before the first whole frame.", hint=_HINT)
        except BaseException:
            self.close()
            raise

    @one_at_a_time
    def read(self) -> Frame | None:
        """Waits for the next frame and returns it; None at the end or once closed.

        Raises:
            MediaError: The y4m stream is damaged.
        """
        image, self._first = self._first, None
        if image is None:
            image = self._picture()
        if image is None:
            return None
        index, self.position = self.position, self.position + 1
        return Frame(index, index / self.fps, image, "", self.sample_aspect)

    def close(self) -> None:
        """Ends reading, including a read that waits in another thread."""
        self._first = None
        self._pipe.close()

    def _look(self, options: SourceOptions) -> _Form:
        """Determines the layout from the first bytes or from the options."""
        head = self._pipe.exactly(len(_MAGIC)).tobytes()
        if head == _MAGIC:
            form = _parsed(self._pipe.line(_LONGEST_LINE).decode("ascii", "replace"))
            if options.raw_size not in (None, form[:2]):
                raise UsageError(
                    f"{parameter('raw_size')} differs from the size of the y4m stream on standard "
                    f"input, {form.width}x{form.height}.",
                    hint="Leave it out: a y4m stream contains its size.",
                )
        elif options.raw_size is None and head:
            raise UsageError(
                f"Frames on standard input that are not y4m need {parameter('raw_size', 'WxH')}.",
                hint=_HINT,
            )
        else:
            self._pipe.put_back(head)
            size = options.raw_size or (1, 1)
            form = _Form(*size, options.raw_fps, options.raw_format)
        if form.width * form.height > MOST_PIXELS:
            raise MediaError(
                f"The frames on standard input are of {form.width}x{form.height} pixels; "
                f"{MOST_PIXELS} pixels at most were expected.",
                hint="Scale them down: ffmpeg -vf scale=1920:-2",
            )
        return form

    def _picture(self) -> Array | None:
        """Reads the next picture, (H, W, 3) uint8, BGR; None if no complete one is left."""
        width, height, _, layout, headed, full, _ = self._form
        if headed and not self._begins_frame():
            return None
        expected = frame_bytes(layout, width, height)
        raw = self._pipe.exactly(expected)
        if len(raw) == expected:
            return to_bgr(raw, layout, width, height, full=full)
        if (len(raw) or headed) and not self._pipe.closed:
            _LOG.warning(
                "The last frame on %s was dropped: %d of its %d bytes came.",
                self.name,
                len(raw),
                expected,
            )
        return None

    def _begins_frame(self) -> bool:
        """Reads the line before each y4m frame; returns False at the end."""
        line = self._pipe.line(_LONGEST_LINE)
        if line.split(b" ")[0] == b"FRAME":
            return True
        if line and not self._pipe.closed:
            raise MediaError(
                f"The y4m on {self.name} is damaged after {self.position} frames: "
                f"the word FRAME was expected, {line[:16]!r} was found.",
                hint=_HINT,
            )
        return False


def _standard_input() -> int:
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise MediaError("Standard input is closed; frames were expected.", hint=_HINT) from None
    if os.isatty(descriptor):
        raise UsageError(
            "Standard input is a terminal; frames from a pipe were expected.", hint=_HINT
        )
    return descriptor


def _parsed(header: str) -> _Form:
    """Parses the first line of y4m, given without its first word."""
    words: dict[str, str] = {}
    for word in header.split():
        words.setdefault(word[0], word[1:])
    colour = words.get("C", "420")
    try:
        width, height = int(words["W"]), int(words["H"])
        layout = {"420": "yuv420p", "mono": "gray8"}[re.sub("jpeg|mpeg2|paldv", "", colour)]
        if min(width, height) < 1:
            raise ValueError(width, height)
    except (KeyError, ValueError):
        raise MediaError(
            "The y4m on standard input cannot be read: W, H and C420 or Cmono were expected, "
            f"'{header.strip()[:80]}' was found.",
            hint="Write it with: ffmpeg -f yuv4mpegpipe -pix_fmt yuv420p",
        ) from None
    if f"I{words.get('I', 'p')}" in INTERLACED_Y4M:
        raise MediaError(
            "The y4m on standard input is interlaced; whole frames were expected.",
            hint="Deinterlace it: ffmpeg -i CLIP -vf yadif -f yuv4mpegpipe -pix_fmt yuv420p -",
        )
    fps, aspect = _ratio(words.get("F", "")), _ratio(words.get("A", ""))
    fps = fps if 0 < fps <= 1000 else DEFAULT_FPS
    full = "XCOLORRANGE=FULL" in header.split()
    return _Form(width, height, fps, layout, True, full, aspect)


def _ratio(word: str) -> float:
    """Returns the value of a ratio such as ``30000:1001``; 0 if it is unknown or damaged."""
    ratio = re.fullmatch(r"(\d+):(\d+)", word)
    return int(ratio[1]) / int(ratio[2]) if ratio and int(ratio[2]) else 0.0
