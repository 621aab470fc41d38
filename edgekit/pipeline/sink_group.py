"""Calls all sinks of a run, each until it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial

from edgekit._checks import unexpected
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.protocols import FrameSink
from edgekit.runtime.types import Tube

__all__ = ["SinkGroup"]

_METHODS = ("start", "frame", "end", "close")
"""Methods by which a sink is recognized."""


class SinkGroup:
    """The sinks of a run, in the order of their calls.

    Args:
        sinks: Sinks, which are closed here in any case.

    Raises:
        UsageError: An object lacks a method of sinks.
    """

    def __init__(self, sinks: Iterable[FrameSink]) -> None:
        self._sinks = list(sinks) if isinstance(sinks, Iterable) else [sinks]
        for sink in self._sinks:
            if not all(callable(getattr(sink, method, None)) for method in _METHODS):
                raise unexpected("sinks", f"objects with the methods {', '.join(_METHODS)}", sink)

    def tell(self, call: Callable[[FrameSink], None]) -> None:
        """Calls every sink; a sink that fails is closed and gets no further call.

        Raises:
            BaseException: The first error of a sink, after all were called.
        """
        failed: BaseException | None = None
        for sink in list(self._sinks):
            try:
                call(sink)
            except BaseException as error:
                self._sinks.remove(sink)
                failed = failed or error
                with contextlib.suppress(Exception):  # only the first error matters
                    sink.close()
        if failed is not None:
            raise failed

    def tubes(self, closed: Iterable[Tube]) -> None:
        """Gives the sinks tubes that have ended."""
        for tube in closed:
            self.tell(partial(_pass_tube, tube))

    def bundle(self, change: BundleChange) -> None:
        """Reports another bundle, or a refused one, to the sinks."""
        self.tell(lambda sink: sink.bundle(change))

    def close(self) -> list[BaseException]:
        """Closes the remaining sinks, and returns their errors."""
        failures: list[BaseException] = []
        for sink in self._sinks:
            try:
                sink.close()
            except BaseException as error:
                failures.append(error)
        return failures


def _pass_tube(tube: Tube, sink: FrameSink) -> None:
    sink.tube(tube)
