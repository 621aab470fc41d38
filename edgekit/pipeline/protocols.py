"""Protocols of the pipeline's neighbours: source, detector, linker and sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from edgekit._checks import (
    as_instance,
    as_number,
    as_picture,
    as_whole,
    check_range,
    unexpected,
    unless_none,
)
from edgekit.linking.published import LinkUpdate
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Array, Detections, Frame, Tube

__all__ = [
    "FrameDetector",
    "FrameLinker",
    "FrameSink",
    "FrameSource",
    "check_parts",
    "read_frame",
    "run_info",
]


class FrameSource(Protocol):
    """Source as the pipeline uses it; ``edgekit.media`` has the classes.

    Attributes:
        name: Name for display.
        width: Width in pixels; 0 if unknown before the first frame.
        height: Height in pixels; 0 if unknown before the first frame.
        fps: Frames per second.
        frames: Number of frames; None if unknown.
        live: Whether frames arrive even if they are not requested.
        position: Index of the next frame of the source.
        reopens: Whether it can be opened again after a failure.
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
        """Returns the next frame, or None at the end."""

    def reopened(self) -> FrameSource:
        """Returns this source, opened again; called only if it ``reopens``."""

    def close(self) -> None:
        """Releases the source's resources; a second call does nothing."""


class FrameDetector(Protocol):
    """Detector as the pipeline uses it; see ``edgekit.detector.Detector``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""

    def reset(self) -> None:
        """Forgets the previous pictures."""

    def recent_frames(self) -> RecentFrames | None:
        """Returns what pairs the frames of a source; None if ``prepare`` keeps the previous one."""

    def prepare(
        self,
        image: npt.NDArray[np.uint8],
        sample_aspect: float,
        earlier: npt.NDArray[np.uint8] | None,
    ) -> tuple[dict[str, Array], Letterbox]:
        """Returns the model's inputs, and the letterbox that maps them to the picture."""

    def infer(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Returns the model's outputs."""

    def release(self, inputs: dict[str, Array]) -> None:
        """Takes back the inputs of a finished inference, which are no longer used."""

    def decode(self, outputs: dict[str, Array], letterbox: Letterbox) -> Detections:
        """Returns the detections in the outputs."""


class FrameLinker(Protocol):
    """Linker as the pipeline uses it; see ``edgekit.linking.confirmation``."""

    def count_from(self, *, score: float, min_hits: int) -> None:
        """Sets the smallest score and the smallest number of detections of tubes that count."""

    def update(self, detections: Detections, time: float | None) -> LinkUpdate:
        """Processes the next frame, with its time in the source in seconds."""

    def skip(self, frames: int) -> Sequence[Tube]:
        """Skips frames that are not processed."""

    def hold(self, frames: int) -> Sequence[Tube]:
        """Skips frames that are not processed because nothing moved in them."""

    def wait(self, seconds: float, fps: float) -> Sequence[Tube]:
        """Ends all tubes if the source has been lost for longer than any of them can survive."""

    def resize(self, frame_size: tuple[int, int]) -> Sequence[Tube]:
        """Ends all tubes, and continues in frames of another size."""

    def change_classes(
        self, classes: int, frame: int, frame_size: tuple[int, int]
    ) -> Sequence[Tube]:
        """Ends all tubes, and continues at a frame with another number of classes."""

    def finish(self) -> Sequence[Tube]:
        """Ends all tubes."""


class FrameSink(Protocol):
    """Receiver of results; ``edgekit.media.sinks.sink`` documents when each method is called."""

    def start(self, info: RunInfo) -> None:
        """Begins the run."""

    def gap(self, gap: Gap) -> None:
        """Reports a break in the stream before the next frame."""

    def frame(self, result: FrameResult) -> None:
        """Receives a finished frame."""

    def tube(self, tube: Tube) -> None:
        """Receives a shown tube that has ended."""

    def bundle(self, change: BundleChange) -> None:
        """Reports that another bundle runs from the next frame on, or that one was refused."""

    def end(self, summary: RunSummary) -> None:
        """Ends the run."""

    def close(self) -> None:
        """Releases the sink's resources."""


def run_info(source: FrameSource, classes: Sequence[str] = ()) -> RunInfo:
    """Returns what sinks need to know of a source; the run itself may add more.

    Args:
        source: Open source.
        classes: Class names, by class index.
    """
    return RunInfo(
        source.name,
        source.width,
        source.height,
        source.fps,
        source.frames,
        tuple(classes),
        sample_aspect=source.sample_aspect,
    )


def check_parts(source: object, detector: object, linker: object) -> None:
    """Checks the methods that a pipeline calls in every frame, and the attributes of its source.

    Raises:
        UsageError: A part lacks a method, or an attribute has a wrong type or is out of range.
    """
    for name, part, methods in (
        ("source", source, ("read",)),
        ("detector", detector, ("prepare", "infer", "decode")),
        ("linker", linker, ("update", "finish")),
    ):
        has = all(callable(getattr(part, method, None)) for method in methods)
        if isinstance(part, type) or not has:
            raise unexpected(name, f"an object with the methods {', '.join(methods)}", part)
    _check_source(cast("FrameSource", source))


def read_frame(source: FrameSource) -> Frame | None:
    """Returns the next frame of a source; None at the end.

    Raises:
        UsageError: The source returned something else, or a frame without a picture.
    """
    frame = source.read()
    if frame is not None and not isinstance(frame, Frame):
        raise unexpected("source", "one whose read returns a Frame or None", frame)
    if frame is not None:
        as_picture("frame.image", frame.image)
    return frame


def _check_source(source: FrameSource) -> None:
    as_instance("source.name", source.name, str, "text")
    as_instance("source.live", source.live, bool, "True or False")
    for name in ("width", "height", "position"):
        as_whole(f"source.{name}", getattr(source, name), least=0)
    unless_none(as_whole, "source.frames", source.frames, least=0)
    for name in ("fps", "sample_aspect"):
        value = as_number(f"source.{name}", getattr(source, name))
        check_range(f"source.{name}", value, 0, above=True)
