"""Serves the metrics of one or several runs to Prometheus."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgekit._checks import as_flag
from edgekit._parameters import parameter
from edgekit._printable import printable
from edgekit.errors import MissingDependencyError
from edgekit.media.serving.address import parse_address, refusal
from edgekit.media.serving.wsgi import serve
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import INTENDED, FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["Metrics", "MetricsSink"]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


# Many attributes: one for each metric, and those of the server that serves them.
class Metrics:
    """Serves counters, gauges and histograms over HTTP while runs last.

    Metrics are kept in memory, and each request is answered in its own thread. The server listens
    from the first ``start`` of a sink until the last sink is closed.

    Args:
        address: ``HOST:PORT``; a port alone means the loopback interface.
        several: Whether all metrics have a label ``source``, the number of the sink, from 0.

    Raises:
        UsageError: The address cannot be parsed.
        MissingDependencyError: prometheus-client is not installed.
    """

    def __init__(self, address: str, *, several: bool = False) -> None:
        self._address = parse_address(address, "metrics")
        self._several = as_flag("several", several)
        self._lock = threading.Lock()
        self._server: Any = None
        self._sinks: list[MetricsSink] = []
        self._open: list[MetricsSink] = []
        self._outputs: list[Callable[[], Sequence[SinkHealth]]] = []
        self._written: dict[tuple[int, str], int] = {}
        try:
            import prometheus_client as prometheus
            from prometheus_client import core
        except ImportError as error:
            raise MissingDependencyError.for_extra(
                "prometheus_client", "metrics", parameter("metrics")
            ) from error
        self._prometheus: Any = prometheus
        self._core: Any = core
        self._registry = prometheus.CollectorRegistry()
        counter, gauge, histogram = (
            prometheus.Counter,
            prometheus.Gauge,
            prometheus.Histogram,
        )

        def make(kind: Any, name: str, text: str, *labels: str, **more: Any) -> Any:
            names = self._labels(*labels)
            return kind(f"edgekit_{name}", text, names, registry=self._registry, **more)

        self.frames = make(counter, "frames", "Frames that went through the detector.")
        self.lost = make(
            counter,
            "frames_dropped",
            "Frames that were lost, or dropped because they came too fast.",
        )
        self.skipped = make(
            counter, "frames_skipped", "Frames that were left out on purpose.", "reason"
        )
        self.gaps = make(counter, "gaps", "Breaks in the stream.", "reason")
        self.live = make(gauge, "tubes_live", "Tubes in the newest frame.", "class")
        self.closed = make(counter, "tubes_closed", "Tubes that have ended.", "class")
        spread = {"buckets": _SECONDS}
        self.stages = make(
            histogram,
            "stage_seconds",
            "Seconds that each stage of a frame took.",
            "stage",
            **spread,
        )
        self.age = make(
            histogram,
            "frame_age_seconds",
            "Seconds from the capture of a frame to its inference.",
            **spread,
        )
        self.bundles = make(
            counter, "bundle_changes", "Bundles offered to the run after its start.", "outcome"
        )
        self._registry.register(self)

    @property
    def port(self) -> int:
        """Port of the server once a sink has started; the system chooses it for port 0."""
        return int(self._server.server_port)

    def sink(self, outputs: Callable[[], Sequence[SinkHealth]]) -> MetricsSink:
        """Returns a new sink that counts the results of one source.

        Args:
            outputs: Function that returns the health of the source's other sinks.
        """
        sink = MetricsSink(self, str(len(self._outputs)) if self._several else None)
        self._outputs.append(outputs)
        self._sinks.append(sink)
        self._open.append(sink)
        return sink

    def enter(self) -> None:
        """Starts to listen, unless the server already does.

        Raises:
            OutputError: The port is taken, or the address does not belong to this machine.
        """
        with self._lock:
            if self._server is None:
                self._server = self._serve()

    def leave(self, sink: MetricsSink) -> None:
        """Removes a closed sink; the server stops after the last one."""
        with self._lock:
            if sink in self._open:
                self._open.remove(sink)
            if self._open or self._server is None:
                return
            server, self._server = self._server, None
        with contextlib.suppress(OSError):
            server.shutdown()
            server.server_close()

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics of the other outputs and of the sources, when Prometheus asks."""
        core, labels = self._core, self._labels("output")
        written = core.CounterMetricFamily(
            "edgekit_output_written", "Frames, gaps and tubes that an output wrote.", labels=labels
        )
        lost = core.CounterMetricFamily(
            "edgekit_output_lost", "Frames, gaps and tubes that an output lost.", labels=labels
        )
        good = core.GaugeMetricFamily(
            "edgekit_output_up", "1 while an output has no problem, else 0.", labels=labels
        )
        for number, outputs in enumerate(self._outputs):
            for health in outputs():
                values = [str(number), health.name] if self._several else [health.name]
                # A counter never falls, but an output may lose later what it had accepted.
                most = max(health.written, self._written.get((number, health.name), 0))
                self._written[number, health.name] = most
                written.add_metric(values, most)
                lost.add_metric(values, health.lost)
                good.add_metric(values, health.error is None)
        source = core.GaugeMetricFamily(
            "edgekit_source_up", "1 while the source gives frames, else 0.", labels=self._labels()
        )
        bundle = core.InfoMetricFamily("edgekit_bundle", "Bundle that runs.", labels=self._labels())
        for sink in self._sinks:
            if (up := sink.source_up) is not None:
                source.add_metric(sink.labels, up)
                bundle.add_metric(sink.labels, sink.bundle_labels)
        yield from (written, lost, good, source, bundle)

    def _labels(self, *names: str) -> tuple[str, ...]:
        return ("source", *names) if self._several else names

    def _serve(self) -> Any:
        try:
            return serve(*self._address, self._prometheus.make_wsgi_app(self._registry))
        except OSError as error:
            raise refusal(self._address, error, "metrics") from error


@single_run
class MetricsSink(Sink):
    """Counts the results of one source; made by ``Metrics.sink``.

    Args:
        metrics: Metrics to update.
        source: Value of the label ``source``; None if there is no such label.
    """

    def __init__(self, metrics: Metrics, source: str | None) -> None:
        self._metrics = metrics
        self._source = () if source is None else (source,)
        self._classes: tuple[str, ...] = ()
        self._bundle: dict[str, str] = {}
        self._info: RunInfo | None = None
        self._ended = False

    @property
    def labels(self) -> tuple[str, ...]:
        """Values of the labels that all metrics have."""
        return self._source

    @property
    def bundle_labels(self) -> dict[str, str]:
        """Name and SHA-256 of the bundle that runs."""
        return self._bundle

    @property
    def source_up(self) -> bool | None:
        """Whether the source gives frames; None before it starts."""
        return None if self._info is None else self._info.health().connected and not self._ended

    def start(self, info: RunInfo) -> None:
        """Sets every metric to 0, and starts to listen."""
        self._info = info
        metrics = self._metrics
        self._show(info.bundle, info.bundle_sha256, info.classes)
        for outcome in ("running", "refused"):
            self._of(metrics.bundles, outcome)
        for reason in ("dropped", "reconnect", "resize", "seek"):
            self._of(metrics.gaps, reason)
        for reason in INTENDED:
            self._of(metrics.skipped, reason)
        for figure in (metrics.frames, metrics.lost, metrics.age):
            self._of(figure)
        metrics.enter()

    def gap(self, gap: Gap) -> None:
        """Counts a gap, or frames that were left out on purpose."""
        if gap.intended:
            self._of(self._metrics.skipped, gap.reason).inc(gap.frames)
            return
        self._of(self._metrics.gaps, gap.reason).inc()
        self._of(self._metrics.lost).inc(gap.frames)

    def frame(self, result: FrameResult) -> None:
        """Counts a frame, its tubes and its stage times."""
        self._of(self._metrics.frames).inc()
        counts = dict.fromkeys(range(len(self._classes)), 0)
        for tube in result.tubes:
            counts[tube.label] += 1
        for label, count in counts.items():
            self._of(self._metrics.live, self._classes[label]).set(count)
        for stage, milliseconds in result.ms.items():
            self._of(self._metrics.stages, stage).observe(milliseconds / 1e3)
        if result.age is not None:
            self._of(self._metrics.age).observe(result.age / 1e3)

    def tube(self, tube: Tube) -> None:
        """Counts a tube that has ended."""
        self._of(self._metrics.closed, self._classes[tube.label]).inc()

    def bundle(self, change: BundleChange) -> None:
        """Counts the outcome; the tubes of classes that the new bundle lacks are set to 0."""
        self._of(self._metrics.bundles, change.outcome).inc()
        if change.error is None:
            self._clear_live()
            self._show(change.name, change.sha256, change.classes)

    def end(self, summary: RunSummary) -> None:
        """Shows that the source gives no more frames, and has no live tubes, while others go on."""
        self._ended = True
        self._clear_live()

    def check(self) -> None:
        """Checks the port by starting to listen."""
        self._metrics.enter()

    def close(self) -> None:
        """Stops listening if this was the last sink."""
        self._metrics.leave(self)

    def _clear_live(self) -> None:
        for name in self._classes:
            self._of(self._metrics.live, name).set(0)

    def _show(self, name: str, sha256: str, classes: Sequence[str]) -> None:
        self._bundle = {"name": printable(name), "sha256": sha256}
        self._classes = tuple(map(printable, classes))
        for label in self._classes:
            self._of(self._metrics.live, label)
            self._of(self._metrics.closed, label)

    def _of(self, figure: Any, *labels: str) -> Any:
        values = (*self._source, *labels)
        return figure.labels(*values) if values else figure
