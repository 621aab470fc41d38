"""Names the package of a sink in every error that the sink raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from edgekit._parameters import parameter
from edgekit.errors import EdgeKitError, OutputError, PluginError
from edgekit.media.sinks.registry import SINKS
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["PluginSink", "failures_named"]

T = TypeVar("T")


@contextlib.contextmanager
def failures_named(name: str) -> Iterator[None]:
    """Names the package of a sink in the error, if the sink fails while the block runs.

    Args:
        name: Name of the sink in ``SINKS``.

    Raises:
        OutputError: The block raised another error than an ``EdgeKitError``.
    """
    try:
        with SINKS.attributed(name):
            yield
    except PluginError as error:
        raise OutputError(
            error.message, hint=f"Check the value of {parameter('sink')}, or run without this sink."
        ) from error.__cause__


class PluginSink(Sink):
    """Passes all calls to the sink of a package.

    Whatever the sink raises is raised as an ``EdgeKitError``. A property that raises, or has a
    wrong type, is reported by ``trouble``, because the run reads properties in any thread.

    Args:
        sink: Sink of the package.
        name: Name of the sink in ``SINKS``.
    """

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self._name = name
        self._fault: str | None = None

    @property
    def dropped(self) -> int:
        """Number that the sink reports, or 0."""
        return self._property("dropped", int) or 0

    @property
    def pending(self) -> int:
        """Number that the sink reports, or 0."""
        return self._property("pending", int) or 0

    @property
    def trouble(self) -> str | None:
        """Problem that the sink reports, or that one of its properties has."""
        return self._property("trouble", str) or self._fault

    @property
    def stored(self) -> int | None:
        """Number that the sink reports, or None."""
        return self._property("stored", int)

    @property
    def codec(self) -> str | None:
        """Codec that the sink reports, or None."""
        return self._property("codec", str)

    @property
    def needs_same_classes(self) -> bool:
        """Whether the sink says so, or has no method ``bundle`` of its own."""
        return type(self._sink).bundle is Sink.bundle or bool(
            self._property("needs_same_classes", bool)
        )

    @property
    def needs_pictures(self) -> bool:
        """Whether the sink says so, or has a fault there."""
        return self._property("needs_pictures", bool) is not False

    @property
    def appears_at_end(self) -> bool:
        """Whether the sink says so."""
        return bool(self._property("appears_at_end", bool))

    def check(self) -> None:
        """Calls the sink's ``check``."""
        self._call("check")

    def start(self, info: RunInfo) -> None:
        """Calls the sink's ``start``."""
        self._call("start", info)

    def gap(self, gap: Gap) -> None:
        """Calls the sink's ``gap``."""
        self._call("gap", gap)

    def frame(self, result: FrameResult) -> None:
        """Calls the sink's ``frame``."""
        self._call("frame", result)

    def tube(self, tube: Tube) -> None:
        """Calls the sink's ``tube``."""
        self._call("tube", tube)

    def bundle(self, change: BundleChange) -> None:
        """Calls the sink's ``bundle``."""
        self._call("bundle", change)

    def lost(self, count: int) -> None:
        """Calls the sink's ``lost``."""
        self._call("lost", count)

    def idle(self) -> None:
        """Calls the sink's ``idle``."""
        self._call("idle")

    def end(self, summary: RunSummary) -> None:
        """Calls the sink's ``end``."""
        self._call("end", summary)

    def reopen(self) -> bool:
        """Calls the sink's ``reopen``."""
        return bool(self._call("reopen"))

    def close(self) -> None:
        """Calls the sink's ``close``."""
        self._call("close")

    def _call(self, method: str, *arguments: object) -> object:
        with failures_named(self._name):
            return getattr(self._sink, method)(*arguments)

    def _property(self, name: str, kind: type[T]) -> T | None:
        try:
            with failures_named(self._name):
                value = getattr(self._sink, name)
                if value is None or isinstance(value, kind):
                    return value
                raise TypeError(f"expected {name} as {kind.__name__}; found {value!r}")
        except EdgeKitError as error:
            self._fault = error.message
            return None
