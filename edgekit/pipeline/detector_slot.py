"""Holds the detector of a pipeline, which another thread may replace between two frames."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from edgekit._checks import unexpected
from edgekit.pipeline.protocols import FrameDetector
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Frame

__all__ = ["DetectorSlot", "InstalledDetector"]


@dataclass(slots=True, eq=False)
class InstalledDetector:
    """A detector of a pipeline, with the frames that it still processes.

    Attributes:
        detector: The detector.
        bundle: Name and SHA-256 of its bundle.
        recent: Object that pairs the frames of the source for it; None if the detector does.
        frames: Number of frames in the stages that belong to it.
        unused: Event that is set once it is replaced and has no frame left.
    """

    detector: FrameDetector
    bundle: tuple[str, str]
    recent: RecentFrames | None
    frames: int = 0
    unused: threading.Event = field(default_factory=threading.Event)


class DetectorSlot:
    """The detector of the next frame; every frame keeps its detector through all stages.

    Args:
        detector: First detector.
        bundle: Name and SHA-256 of its bundle.
        live: Whether the source is live.
        fps: Frames per second that the source declares.

    Attributes:
        newest: Newest frame that was taken, with its earlier picture; None before the first.
        refused: Refused bundles that are not reported to the sinks yet: name, SHA-256 and reason.
    """

    def __init__(
        self,
        detector: FrameDetector,
        bundle: tuple[str, str],
        *,
        live: bool = False,
        fps: float = 25.0,
    ) -> None:
        self._live, self._fps = live, fps
        self.newest: Frame | None = None
        self.refused: deque[tuple[str, str, str]] = deque()
        self._current = self._installed(detector, bundle)
        self._replaced: set[InstalledDetector] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def current(self) -> InstalledDetector:
        """Detector of the next frame."""
        return self._current

    def replace(self, detector: FrameDetector, bundle: tuple[str, str]) -> threading.Event:
        """Uses another detector from the next frame on.

        Returns:
            Event that is set once the previous detector has no frame left.
        """
        with self._lock:
            before, self._current = self._current, self._installed(detector, bundle)
            self._replaced.add(before)
            self._free_unused()
        return before.unused

    def take(self, frame: Frame) -> InstalledDetector:
        """Returns the detector of a frame that enters the stages."""
        with self._lock:
            self.newest = frame
            self._current.frames += 1
            return self._current

    def leave(self, installed: InstalledDetector) -> None:
        """Registers that a frame has left the stages."""
        with self._lock:
            installed.frames -= 1
            self._free_unused()

    def close(self) -> None:
        """Registers that no frame is in the stages any more, and that none will be."""
        with self._lock:
            self._closed = True
            self._free_unused()

    def _installed(self, detector: FrameDetector, bundle: tuple[str, str]) -> InstalledDetector:
        pair = isinstance(bundle, tuple) and len(bundle) == 2
        if not (pair and all(isinstance(text, str) for text in bundle)):
            raise unexpected("bundle", "a tuple of name and SHA-256", bundle)
        recent = detector.recent_frames()
        if recent is not None:
            recent.reencoded = self._live
            recent.expect(self._fps)
        return InstalledDetector(detector, bundle, recent)

    def _free_unused(self) -> None:
        for installed in [*self._replaced]:
            if self._closed or not installed.frames:
                installed.unused.set()
                self._replaced.remove(installed)
