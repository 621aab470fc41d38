"""What a sink for results is."""

from __future__ import annotations

from edgekit.runtime.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["Sink"]


class Sink:
    """Takes the results of a run; a sink implements those methods that concern it.

    The calls come in this order: ``start``; for every frame its ``gap``, if there is one, then
    ``frame``, then ``tube`` for each tube that was shown and ended there; at the end ``tube`` for
    each that is left, ``end`` and ``close``. Where a run is only checked, ``check`` and ``close``.
    A sink that raises gets ``close`` and nothing more:
    ``close`` without ``end`` before it leaves no half-written file behind. Behind a
    ``QueuedSink`` on a live source it is asked to ``reopen`` first.
    """

    @property
    def dropped(self) -> int:
        """Frames, gaps and tubes that it took and has lost since."""
        return 0

    @property
    def trouble(self) -> str | None:
        """What keeps it from its work though its calls succeed, as a sentence."""
        return None

    @property
    def stored(self) -> int | None:
        """How many times it has written something; None where each call that returns has.

        An encoder takes a frame long before the file gets it, so that a call says nothing of that.
        """
        return None

    @property
    def codec(self) -> str | None:
        """Name of the codec that it writes, for people; None where it writes no video."""
        return None

    def check(self) -> None:
        """Raises what ``start`` would raise, and writes nothing.

        What it takes for that, as a port, it keeps until ``close``.
        """

    def start(self, info: RunInfo) -> None:
        """The run begins."""

    def gap(self, gap: Gap) -> None:
        """The stream is broken before the next frame."""

    def frame(self, result: FrameResult) -> None:
        """A frame is done. Its arrays are shared between the sinks: do not change them."""

    def tube(self, tube: Tube) -> None:
        """A tube that was shown has ended."""

    def lost(self, count: int) -> None:
        """So many frames, gaps and tubes before the next call did not reach the sink."""

    def end(self, summary: RunSummary) -> None:
        """The run is over, whether or not it was interrupted: make the result complete."""

    def reopen(self) -> bool:
        """A call has raised: tries to go on with what comes next.

        Returns:
            Whether it can; False where it never will.

        Raises:
            Exception: Not yet; it is asked again later.
        """
        return False

    def close(self) -> None:
        """Gives up what the sink holds; harmless a second time."""
