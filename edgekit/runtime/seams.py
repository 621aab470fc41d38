"""What the pipeline asks of its neighbours, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.tubes import LinkUpdate
from edgekit.runtime.types import Array, Detections, Frame, Tube

__all__ = ["FrameDetector", "FrameLinker", "FrameSink", "FrameSource"]


class FrameSource(Protocol):
    """What the pipeline asks of a source; ``edgekit.media`` has the classes.

    Attributes:
        name: For people.
        width: Pixels; 0 where unknown before the first frame.
        height: Pixels; 0 where unknown before the first frame.
        fps: Frames a second.
        frames: Their number, None where unknown.
        live: Whether frames come whether or not they are asked for.
        position: Index that the next frame of the source would have.
        reopens: Whether it can be opened anew where it fails.
        sample_aspect: Width of a pixel over its height.
    """

    name: str
    width: int
    height: int
    fps: float
    frames: int | None
    live: bool
    position: int
    reopens: bool
    sample_aspect: float

    def read(self) -> Frame | None:
        """The next frame, or None at the end."""

    def reopened(self) -> FrameSource:
        """The same source, opened anew; asked only of one that ``reopens``."""

    def close(self) -> None:
        """Gives up what the source holds; harmless a second time."""


class FrameDetector(Protocol):
    """What the pipeline asks of a detector; see ``edgekit.detector.Detector``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    def reset(self) -> None:
        """Forgets the pictures before."""

    def recent_frames(self) -> RecentFrames | None:
        """What pairs the frames of a source; None where ``prepare`` remembers the one before."""

    def prepare(
        self,
        image: npt.NDArray[np.uint8],
        sample_aspect: float,
        earlier: npt.NDArray[np.uint8] | None,
    ) -> tuple[Mapping[str, Array], Any]:
        """The model's inputs, and how they lie in the picture."""

    def infer(self, inputs: Any) -> Mapping[str, Array]:
        """The model's outputs."""

    def decode(self, outputs: Any, letterbox: Any) -> Detections:
        """The detections in them."""


class FrameLinker(Protocol):
    """What the pipeline asks of a linker; see ``edgekit.runtime.confirmed.ConfirmedLinker``."""

    def count_from(self, *, score: float, min_hits: int) -> None:
        """Tells from which score and which number of detections on tubes are wanted."""

    def update(self, detections: Detections, time: float | None) -> LinkUpdate:
        """Takes the next frame, and when it was in its source, in seconds."""

    def skip(self, frames: int) -> Sequence[Tube]:
        """Passes over frames that nobody looked at."""

    def hold(self, frames: int) -> Sequence[Tube]:
        """Passes over frames that nobody looked at, because nothing moved in them."""

    def resize(self, frame_size: tuple[int, int]) -> Sequence[Tube]:
        """Ends all tubes, and goes on in frames of another size."""

    def finish(self) -> Sequence[Tube]:
        """Ends all tubes."""


class FrameSink(Protocol):
    """Where results go; see ``edgekit.media.sink.Sink`` for when what is called."""

    def start(self, info: RunInfo) -> None:
        """The run begins."""

    def gap(self, gap: Gap) -> None:
        """The stream is broken before the next frame."""

    def frame(self, result: FrameResult) -> None:
        """A frame is done."""

    def tube(self, tube: Tube) -> None:
        """A tube that was shown has ended."""

    def end(self, summary: RunSummary) -> None:
        """The run is over."""

    def close(self) -> None:
        """Gives up what the sink holds."""
