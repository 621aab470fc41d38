"""Figures of a run for Prometheus."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgekit.errors import MissingDependencyError, OutputError
from edgekit.media.page.address import parse_address
from edgekit.media.queued import SinkHealth
from edgekit.media.sink import Sink
from edgekit.runtime.results import FrameResult, Gap, RunInfo
from edgekit.runtime.types import Tube

__all__ = ["MetricsSink"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class MetricsSink(Sink):
    """Serves counters, gauges and histograms over HTTP while the run lasts.

    What is counted is in memory, and a request is answered in a thread of its own.

    Args:
        address: ``HOST:PORT``; a port alone means loopback.
        outputs: How the other outputs do.

    Raises:
        UsageError: The address cannot be read.
        MissingDependencyError: prometheus-client is not installed.
        OutputError: By ``start``: the port is taken, or the address is not one of this machine.
    """

    def __init__(self, address: str, outputs: Callable[[], Sequence[SinkHealth]]) -> None:
        self._address = parse_address(address, "--metrics")
        self._server: Any = None
        self._classes: tuple[str, ...] = ()
        try:
            import prometheus_client as prometheus
            from prometheus_client import core
        except ImportError as error:
            raise MissingDependencyError.for_extra(
                "prometheus_client", "metrics", "--metrics"
            ) from error
        self._prometheus: Any = prometheus
        self._registry = prometheus.CollectorRegistry()
        counter, gauge, histogram = (
            prometheus.Counter,
            prometheus.Gauge,
            prometheus.Histogram,
        )

        def make(kind: Any, name: str, text: str, *labels: str, **more: Any) -> Any:
            return kind(f"edgekit_{name}", text, labels, registry=self._registry, **more)

        self._frames = make(counter, "frames", "Frames through the detector.")
        self._lost = make(counter, "frames_dropped", "Frames of the source that were not.")
        self._gaps = make(counter, "gaps", "Breaks of the stream.", "reason")
        self._live = make(gauge, "tubes_live", "Tubes in the newest frame.", "class")
        self._closed = make(counter, "tubes_closed", "Tubes that have ended.", "class")
        spread = {"buckets": _SECONDS}
        self._stages = make(histogram, "stage_seconds", "Time a frame.", "stage", **spread)
        self._age = make(histogram, "frame_age_seconds", "Age at inference.", **spread)
        self._registry.register(_Outputs(core, outputs))

    @property
    def port(self) -> int:
        """That it listens at, once it is started; free to choose where 0 was asked for."""
        return int(self._server.server_port)

    def start(self, info: RunInfo) -> None:
        """Begins to listen."""
        self._classes = info.classes
        for name in info.classes:
            self._live.labels(name)
            self._closed.labels(name)
        for reason in ("dropped", "reconnect", "resize", "seek"):
            self._gaps.labels(reason)
        host, port = self._address
        try:
            self._server, _ = self._prometheus.start_http_server(
                port, addr=host, registry=self._registry
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "another program has that port" if taken else error.strerror or str(error)
            raise OutputError(
                f"Figures cannot be served at {host}:{port}: {reason}.",
                mend=f"Choose another port: --metrics {host}:{port % 65535 + 1}",
            ) from error

    def gap(self, gap: Gap) -> None:
        """Counts a break."""
        self._gaps.labels(gap.reason).inc()
        self._lost.inc(gap.frames)

    def frame(self, result: FrameResult) -> None:
        """Counts a frame, its tubes and times."""
        self._frames.inc()
        counts = dict.fromkeys(range(len(self._classes)), 0)
        for tube in result.tubes:
            counts[tube.label] += 1
        for label, count in counts.items():
            self._live.labels(self._classes[label]).set(count)
        for stage, milliseconds in result.ms.items():
            self._stages.labels(stage).observe(milliseconds / 1e3)
        if result.age is not None:
            self._age.observe(result.age / 1e3)

    def tube(self, tube: Tube) -> None:
        """Counts a tube that has ended."""
        self._closed.labels(self._classes[tube.label]).inc()

    def close(self) -> None:
        """Stops listening."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown()
                server.server_close()


class _Outputs:
    """Asks the other outputs when it is asked itself."""

    def __init__(self, core: Any, outputs: Callable[[], Sequence[SinkHealth]]) -> None:
        self._core: Any = core
        self._outputs = outputs

    def collect(self) -> Iterator[Any]:
        core = self._core
        written = core.CounterMetricFamily(
            "edgekit_output_written",
            "Frames, gaps and tubes that an output took.",
            labels=["output"],
        )
        lost = core.CounterMetricFamily(
            "edgekit_output_lost", "Frames, gaps and tubes that it lost.", labels=["output"]
        )
        good = core.GaugeMetricFamily(
            "edgekit_output_up", "1 where nothing is wrong with it.", labels=["output"]
        )
        for health in self._outputs():
            written.add_metric([health.name], health.written)
            lost.add_metric([health.name], health.lost)
            good.add_metric([health.name], health.error is None)
        yield from (written, lost, good)
