"""Base class of all sinks for results."""

from __future__ import annotations

from typing import TypeVar

from edgekit.errors import UsageError
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["Sink", "started"]

T = TypeVar("T")


class Sink:
    """Takes the results of a run; a sink implements the methods it needs.

    The first call is ``start``. Each frame has a ``gap`` (if there is one), a ``frame``, and a
    ``tube`` for each shown tube that ended there. At the end come a ``tube`` for each remaining
    tube, ``end`` and ``close``. If a run is only checked, the calls are ``check`` and ``close``.
    After a sink has raised, it gets only ``close``; without ``end`` before it, ``close`` leaves no
    partial file. On a live source, a ``QueuedSink`` asks it to ``reopen`` first.

    A run may change to another bundle between two frames, and calls ``bundle`` then. If the classes
    differ, all tubes have ended before.
    """

    @property
    def dropped(self) -> int:
        """Number of frames, gaps and tubes that the sink accepted and then lost."""
        return 0

    @property
    def trouble(self) -> str | None:
        """Present problem although calls succeed, as a sentence; None if there is none."""
        return None

    @property
    def stored(self) -> int | None:
        """Number of completed writes; None if every call that returns has written.

        An encoder accepts a frame long before the file gets it, so its calls do not show a write.
        """
        return None

    @property
    def codec(self) -> str | None:
        """Name of the video codec, for messages; None if the sink writes no video."""
        return None

    @property
    def needs_same_classes(self) -> bool:
        """Whether a run must not change to a bundle with other classes, because of this sink."""
        return False

    @property
    def needs_pictures(self) -> bool:
        """Whether the sink uses the pictures of the frames; without them, far more can wait."""
        return True

    @property
    def appears_at_end(self) -> bool:
        """Whether the result appears only if ``end`` succeeds; without it, everything is lost."""
        return False

    def check(self) -> None:
        """Raises what ``start`` would raise, and writes nothing.

        Resources taken for the check, such as a port, are kept until ``close``.
        """

    def start(self, info: RunInfo) -> None:
        """Begins the run."""

    def gap(self, gap: Gap) -> None:
        """Reports that frames are missing before the next frame."""

    def frame(self, result: FrameResult) -> None:
        """Takes a processed frame. Sinks share its arrays, so they must not change them."""

    def tube(self, tube: Tube) -> None:
        """Takes a shown tube that has ended."""

    def bundle(self, change: BundleChange) -> None:
        """Reports that another bundle runs from the next frame on, or that one was refused.

        A sink that stores class names takes those of the change, unless it
        ``needs_same_classes``.
        """

    def lost(self, count: int) -> None:
        """Reports how many frames, gaps and tubes before the next call did not reach the sink."""

    def end(self, summary: RunSummary) -> None:
        """Completes the result; the run is over, whether or not it was interrupted."""

    def reopen(self) -> bool:
        """Tries to continue after a call has raised.

        Returns:
            Whether the sink can continue; False if it never can.

        Raises:
            Exception: The sink cannot continue yet; it is asked again later.
        """
        return False

    def close(self) -> None:
        """Releases the sink's resources; it may be called twice."""


def started(part: T | None) -> T:
    """Returns what a sink has from its start to its end.

    Raises:
        UsageError: It is None: the sink has not started, or is closed.
    """
    if part is None:
        raise UsageError(
            "Expected a sink that has started; found one that has not, or that is closed.",
            hint="Call start first, and use a new sink for each run.",
        )
    return part
