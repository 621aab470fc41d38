"""Frames with their source's times on their way into a video, encoded a run at a time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.errors import MissingDependencyError, OutputError
from edgekit.media._codecs import Codec, Encoder, Track
from edgekit.media._opencv import cv2
from edgekit.media.source import name_of
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.results import RunInfo

__all__ = ["HIGHEST_FPS", "Run", "TimedFrames", "even", "ratio_of"]

_LOG = logging.getLogger(__name__)
HIGHEST_FPS = 1000.0
_MOST_FRAMES = 300
_LONGEST_LAST_MS = 1000.0
_USUAL = 9
"""The last frame is shown as long as the third shortest of so many before it: those that had to
wait say nothing of the source's rate."""

_LEAST = 2
"""Pixels a side that the encoders need."""


class Run(NamedTuple):
    """Encoded frames; the first can be decoded without any before it.

    Attributes:
        track: What the container has to say of them.
        times: Milliseconds of the source, growing.
        packets: One for each time.
        end: Milliseconds at which the last frame is over.
    """

    track: Track
    times: list[float]
    packets: list[bytes]
    end: float


class TimedFrames:
    """Encodes frames of one size; those of another size are fitted into it.

    Args:
        path: Of the video, for messages.
        codecs: The first that can be had is used.
        size: (height, width) of the first frame.
        info: Of the run.
        longest: Milliseconds of a run.
        quiet: Whether not to warn of a codec that browsers do not play.

    Raises:
        OutputError: There is no encoder for such frames.
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
        self.size = size
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
        """What the frames are encoded to."""
        return self._encoder.codec

    @property
    def waiting(self) -> int:
        """Frames since the last ``take``."""
        return len(self._times)

    def is_due(self, seconds: float) -> bool:
        """Whether the run is to be taken before a frame of this time is added."""
        if not self._times:
            return False
        length = 1e3 * seconds + self._shift - self._times[0]
        return length >= self._longest or len(self._times) >= _MOST_FRAMES

    def add(self, image: Any, seconds: float) -> None:
        """Encodes a frame.

        Args:
            image: (h, w, 3) uint8, BGR.
            seconds: Its time; where it does not grow, one frame after the last.
        """
        if image.shape[:2] != self.size:
            image = Letterbox.fit((image.shape[0], image.shape[1]), self.size).apply(image)
        self._times.append(self._time_of(seconds))
        self._encoder.write(even(image))

    def take(self) -> Run:
        """The frames since the last ``take``, at least one; a new run begins.

        Raises:
            OutputError: They could not be encoded.
        """
        times, self._times = self._times, []
        packets = self._encoder.take()
        if len(packets) != len(times):
            raise OutputError(
                f"Of {len(times)} frames only {len(packets)} could be encoded: the folder for "
                "temporary files is full or cannot be written.",
                mend="Free some space there, or set TMPDIR to another folder.",
            )
        size = _even_size(self.size)
        track = Track(self._encoder.codec, self._encoder.private, size, self._aspect)
        return Run(track, times, packets, times[-1] + self._last)

    def close(self) -> None:
        """Frees the encoder."""
        self._encoder.close()

    def _time_of(self, seconds: float) -> float:
        """Milliseconds that only grow, whatever the source's clock does."""
        time = 1e3 * seconds + self._shift
        if self._latest is not None:
            if time <= self._latest:
                self._shift += self._latest + self._step - time
                time = self._latest + self._step
            self._shown.append(time - self._latest)
            # How long the last frame is shown nobody says. The one before it may have waited.
            usual = sorted(self._shown)[len(self._shown) // 4]
            self._last = usual if usual <= _LONGEST_LAST_MS else self._step
        self._latest = time
        return time

    def _make_encoder(self, codecs: Sequence[Codec], fps: float, quiet: bool) -> Encoder:
        height, width = self.size
        name = name_of(self._path)
        if min(self.size) < _LEAST:
            raise OutputError(
                f"A video of {width}x{height} pixels cannot be written to {name}.",
                mend=f"Leave the video out: its pictures would need {_LEAST} pixels a side.",
            )
        size = _even_size(self.size)
        hints: list[str] = []
        for codec in codecs:
            if not codec.fits(size):
                hints.append(codec.limits)
                continue
            try:
                encoder = _open(codec, size, fps, self._aspect)
            except ImportError:
                missing = MissingDependencyError.for_extra(codec.library, "video", codec.name)
                hints.append(f"{missing.message} {missing.mend}")
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
            mend=f"Name it {other}",
        )


def ratio_of(sample_aspect: float) -> Fraction:
    """The shape of a pixel as a ratio of small numbers."""
    return Fraction(sample_aspect).limit_denominator(255)


def even(image: Any) -> Any:
    """The image with its last row and column repeated where their number is odd."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        edge = cv2.BORDER_REPLICATE
        return cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, edge)
    return image


def _even_size(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _open(codec: Codec, size: tuple[int, int], fps: float, aspect: Fraction) -> Encoder:
    if codec.library == "av":
        from edgekit.media._av_encoder import AvEncoder

        return AvEncoder(codec, size, fps, aspect)
    from edgekit.media._opencv_encoder import OpenCvEncoder

    return OpenCvEncoder(codec, size, fps)
