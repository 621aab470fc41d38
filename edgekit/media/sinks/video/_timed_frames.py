"""Encodes frames in groups and keeps the times of their source."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from edgekit._parameters import parameter
from edgekit.errors import MissingDependencyError, OutputError
from edgekit.media._opencv import cv2
from edgekit.media.sinks.video.codecs import Codec, Encoder, Track
from edgekit.media.sources.source import name_of
from edgekit.pipeline.results import RunInfo
from edgekit.runtime.types import Array

__all__ = ["HIGHEST_FPS", "FrameGroup", "TimedFrames", "even", "ratio_of"]

_LOG = logging.getLogger(__name__)
HIGHEST_FPS = 1000.0
_MOST_FRAMES = 300
_LONGEST_LAST_MS = 1000.0
_USUAL = 9
"""Number of last frame durations to remember. The last frame is shown for the lower quartile of
them, because frames that had to wait say nothing about the source's rate."""

_LEAST = 2
"""Smallest side in pixels that the encoders accept."""


class FrameGroup(NamedTuple):
    """A group of encoded frames; the first one can be decoded on its own.

    Attributes:
        track: Description of the track for the container.
        times: Source times in milliseconds, increasing.
        packets: Encoded frames, one for each time.
        end: Time in milliseconds at which the last frame ends.
    """

    track: Track
    times: list[float]
    packets: list[bytes]
    end: float


# Many attributes: an encoder, and the times of the frames that it has and waits for.
class TimedFrames:
    """Encodes frames of one size.

    Args:
        path: Path of the video, for messages.
        codecs: Codecs by preference; the first available one is used.
        size: Size (height, width) of the frames in pixels.
        info: Description of the run: frame rate and pixel aspect ratio.
        longest: Longest group, in milliseconds.
        quiet: Whether to suppress the warning about codecs that browsers do not play.

    Raises:
        OutputError: No encoder accepts such frames.
    """

    def __init__(
        self,
        path: Path,
        codecs: Sequence[Codec],
        size: tuple[int, int],
        info: RunInfo,
        *,
        longest: float = 1000.0,
        quiet: bool = False,
    ) -> None:
        self._path = path
        self._size = size
        self._step = 1e3 / min(info.fps, HIGHEST_FPS)
        self._aspect = ratio_of(info.sample_aspect)
        self._longest = longest
        self._times: list[float] = []
        self._shift = 0.0
        self._latest: float | None = None
        self._last = self._step
        self._shown: deque[float] = deque(maxlen=_USUAL)
        self._encoder = self._make_encoder(codecs, 1e3 / self._step, quiet)

    @property
    def codec(self) -> Codec:
        """Codec of the encoded frames."""
        return self._encoder.codec

    @property
    def waiting(self) -> int:
        """Number of frames since the last ``take``."""
        return len(self._times)

    def is_due(self, seconds: float) -> bool:
        """Returns whether to call ``take`` before a frame of this time is added."""
        if not self._times:
            return False
        length = self._following(seconds) - self._times[0]
        return length >= self._longest or len(self._times) >= _MOST_FRAMES

    def add(self, image: Array, seconds: float) -> None:
        """Encodes a frame.

        Args:
            image: Picture of the size, (h, w, 3) uint8, BGR.
            seconds: Time in the source. A time that does not increase, or is not finite, becomes
                the last time plus the duration of one frame.
        """
        self._times.append(self._time_of(seconds))
        self._encoder.write(even(image))

    def take(self) -> FrameGroup:
        """Returns the frames since the last ``take``, at least one, and starts a new group.

        Raises:
            OutputError: Some frames could not be encoded.
        """
        times, self._times = self._times, []
        packets = self._encoder.take()
        if len(packets) != len(times):
            raise OutputError(
                f"Of {len(times)} frames only {len(packets)} could be encoded: the folder for "
                "temporary files is full or cannot be written.",
                hint="Free some space there, or set TMPDIR to another folder.",
            )
        size = _even_size(self._size)
        track = Track(self._encoder.codec, self._encoder.private, size, self._aspect)
        return FrameGroup(track, times, packets, times[-1] + self._last)

    def close(self) -> None:
        """Frees the encoder."""
        self._encoder.close()

    def _following(self, seconds: float) -> float:
        """Returns the time in milliseconds of a frame that comes next; it always increases."""
        time = 1e3 * seconds + self._shift
        if math.isfinite(time) and (self._latest is None or time > self._latest):
            return time
        return 0.0 if self._latest is None else self._latest + self._step

    def _time_of(self, seconds: float) -> float:
        """Returns the time in milliseconds of the next frame, and keeps it for later frames."""
        time, shown = self._following(seconds), 1e3 * seconds + self._shift
        if math.isfinite(shown):
            self._shift += time - shown
        if self._latest is not None:
            self._shown.append(time - self._latest)
            # No source gives the duration of its last frame, and the frame before it may have
            # waited.
            usual = sorted(self._shown)[len(self._shown) // 4]
            self._last = usual if usual <= _LONGEST_LAST_MS else self._step
        self._latest = time
        return time

    def _make_encoder(self, codecs: Sequence[Codec], fps: float, quiet: bool) -> Encoder:
        height, width = self._size
        name = name_of(self._path)
        if min(self._size) < _LEAST:
            raise OutputError(
                f"A video of {width}x{height} pixels cannot be written to {name}: each side needs "
                f"at least {_LEAST} pixels.",
                hint=f"Leave out {parameter('video')}.",
            )
        size = _even_size(self._size)
        hints: list[str] = []
        for codec in codecs:
            if not codec.fits(size):
                hints.append(codec.limits)
                continue
            try:
                encoder = _open(codec, size, fps, self._aspect)
            except ImportError:
                missing = MissingDependencyError.for_extra(codec.library, "video", codec.name)
                hints.append(f"{missing.message} {missing.hint}")
            except ValueError:
                hints.append(f"The encoder of {codec.name} is missing or refuses such frames.")
            else:
                plays = "" if codec.browsers else ", which browsers do not play"
                words = " ".join([f"{name} is written as {codec.name}{plays}.", *hints])
                _LOG.log(logging.WARNING if hints and not quiet else logging.INFO, "%s", words)
                return encoder
        other = name_of(self._path.with_suffix(".avi"))
        raise OutputError(
            f"A video of {width}x{height} pixels cannot be written to {name}. {' '.join(hints)}",
            hint=f"Name it {other}",
        )


def ratio_of(sample_aspect: float) -> Fraction:
    """Returns the pixel aspect ratio as a fraction with a denominator of at most 255."""
    return Fraction(sample_aspect).limit_denominator(255)


def even(image: Array) -> Any:
    """Makes both sides even by repeating the last row or column."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        edge = cv2.BORDER_REPLICATE
        return cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, edge)
    return image


def _even_size(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _open(codec: Codec, size: tuple[int, int], fps: float, aspect: Fraction) -> Encoder:
    if codec.library == "av":
        from edgekit.media.sinks.video._av_encoder import AvEncoder

        return AvEncoder(codec, size, fps, aspect)
    from edgekit.media.sinks.video._opencv_encoder import OpenCvEncoder

    return OpenCvEncoder(codec, size, fps)
