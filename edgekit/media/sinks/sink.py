"""Base class of all sinks for results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from edgekit._checks import as_instance
from edgekit._locking import one_at_a_time
from edgekit.errors import UsageError
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["Sink", "single_run"]

S = TypeVar("S", bound="Sink")

_ARGUMENTS: dict[str, tuple[str, type]] = {
    "start": ("info", RunInfo),
    "gap": ("gap", Gap),
    "frame": ("result", FrameResult),
    "tube": ("tube", Tube),
    "bundle": ("change", BundleChange),
    "lost": ("count", int),
    "end": ("summary", RunSummary),
}
"""Name and type of the argument of each method that takes one."""

_NEW, _STARTED, _ENDED, _CLOSED = "has not started", "has started", "has ended", "is closed"


class Sink:
    """Takes the results of a run; a sink implements the methods it needs.

    The first call is ``start``. Each frame has a ``gap`` (if there is one), a ``frame``, and a
    ``tube`` for each shown tube that ended there. At the end come a ``tube`` for each remaining
    tube, ``end`` and ``close``. If a run is only checked, the calls are ``check`` and ``close``.
    After a sink has raised, it gets only ``close``; without ``end`` before it, ``close`` leaves no
    partial file. On a live source, a ``QueuedSink`` asks it to ``reopen`` first.

    A run may change to another bundle between two frames, and calls ``bundle`` then. If the classes
    differ, all tubes have ended before.

    EdgeKit's own sinks refuse calls in another order. Several threads may call one of them: it
    handles their calls one after the other.
    """

    @property
    def dropped(self) -> int:
        """Number of frames, gaps and tubes that the sink accepted and then lost."""
        return 0

    @property
    def pending(self) -> int:
        """Number of frames that the sink accepted and has not stored yet, as an encoder does."""
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

    def idle(self) -> None:
        """Called about once per second while a live source gives no frames.

        Only sinks in a ``QueuedSink`` get this call, as do all sinks of ``edgekit run --sink``.
        """

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


def single_run(kind: type[S]) -> type[S]:
    """Makes a class of sinks refuse wrong arguments and calls out of order.

    Several threads may call such a sink; it handles their calls one after the other. A call that is
    refused raises ``UsageError`` and changes nothing.

    Args:
        kind: Class of sinks.
    """
    methods = {name: _checked(getattr(kind, name), *rule) for name, rule in _ARGUMENTS.items()}
    for name, method in {**methods, "close": _closing(kind.close)}.items():
        setattr(kind, name, method)
    return kind


def _checked(method: Callable[..., None], argument: str, expected: type) -> Callable[..., None]:
    """Returns a sink's method with checks of its argument and of the calls before it."""
    name = method.__name__
    needed = _NEW if name == "start" else _STARTED
    after = {"start": _STARTED, "end": _ENDED}.get(name, needed)
    words = f"an object of {expected.__module__}.{expected.__name__}"

    @functools.wraps(method)
    @one_at_a_time
    def checked(self: Sink, /, *given: object, **named: object) -> None:
        for value in (*given, *named.values()):
            as_instance(argument, value, expected, words)
        state = vars(self).get("_run_state", _NEW)
        if state != needed:
            raise UsageError(
                f"Expected a sink that {needed}, for its method {name}; found one that {state}.",
                hint="Call start first and close last, and use a new sink for each run.",
            )
        method(self, *given, **named)
        # A signal handler may have closed it meanwhile.
        if vars(self).get("_run_state", _NEW) == needed:
            vars(self)["_run_state"] = after

    return checked


def _closing(method: Callable[..., None]) -> Callable[..., None]:
    """Returns a sink's ``close``, after which the other methods refuse calls."""

    @functools.wraps(method)
    @one_at_a_time
    def close(self: Sink) -> None:
        vars(self)["_run_state"] = _CLOSED
        method(self)

    return close
