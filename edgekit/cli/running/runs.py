"""Runs all sources of one ``edgekit run`` on one model."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.cli.options.outputs import FILES
from edgekit.cli.running.load_cost import load_cost_json
from edgekit.cli.running.report import loss_of, summary_json
from edgekit.cli.running.sink_factory import SinkMaker
from edgekit.cli.running.sinks import TubeTally
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError, MediaError, OutputError
from edgekit.linking.registry import make_linker
from edgekit.media import Source
from edgekit.media.sinks.queued import QueuedSink, SinkHealth
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.fair_semaphore import FairSemaphore
from edgekit.pipeline.multiple_sources import run_all
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.stage_executor import NO_TURN
from edgekit.system.cpu_quota import cpu_quota

__all__ = ["Runs"]

_LOG = logging.getLogger(__name__)
_LIVE_HISTORY = 9000
"""Frames of a tube from a live source that its event keeps, so that memory stays bounded."""


@dataclass(slots=True)
class _SourceParts:
    """The parts that belong to one source."""

    source: Source
    options: dict[str, Any]
    sinks: list[Sink]
    tally: TubeTally
    pipeline: Pipeline
    error: EdgeKitError | None = None


class Runs:
    """One pipeline per source, each with its own cascade, linker and sinks.

    The pipelines take turns on the detector's session. A single source runs in the calling thread.

    Args:
        sources: Open sources, which stay open.
        detector: Open detector, which stays open.
        maker: Factory of the sinks.
        options: Options of ``edgekit run``, for each source.

    Raises:
        EdgeKitError: An option is invalid.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        detector: Detector,
        maker: SinkMaker,
        options: Sequence[dict[str, Any]],
    ) -> None:
        self._detector = detector
        self._maker = maker
        self._turn = FairSemaphore(detector.lanes) if len(sources) > 1 else NO_TURN
        self._seconds = 0.0
        self._ways = [
            self._way(source, detector.sibling(), own)
            for source, own in zip(sources, options, strict=True)
        ]

    def run(self) -> None:
        """Runs until all sources have ended.

        Raises:
            BaseException: The error that ended the run. With several sources, an error of one does
                not end the others and is not raised.
        """
        begin = time.perf_counter()
        pipelines = [way.pipeline for way in self._ways]
        if len(pipelines) == 1:
            pipelines[0].run()
        else:
            run_all(pipelines, stop=self.stop, failed=self._note)
        self._seconds = time.perf_counter() - begin

    def check(self) -> None:
        """Raises the errors that the outputs would raise at their start, and writes nothing."""
        with contextlib.ExitStack() as stack:
            for way in self._ways:
                for sink in way.sinks:
                    stack.callback(sink.close)
                    sink.check()

    def stop(self) -> None:
        """Stops all pipelines, even if a source waits for a frame; safe in a signal handler."""
        for way in self._ways:
            way.pipeline.stop()
            # Close in another thread: the signal may have interrupted this one within the source.
            threading.Thread(target=way.source.close, daemon=True).start()

    def show_from(self, *, score: float, min_hits: int) -> None:
        """Changes the thresholds of shown tubes, from the next frame of each source."""
        for way in self._ways:
            way.pipeline.show_from(score=score, min_hits=min_hits)

    def report(self) -> dict[str, Any]:
        """Returns what ``--json`` prints, once the run is over."""
        reports = [self._report_of(way) for way in self._ways]
        quota = cpu_quota()
        limits = {} if quota is None else {"cpu_quota": round(quota, 3)}
        if len(reports) == 1:
            return {**reports[0], **limits}
        frames = sum(report["frames"] for report in reports)
        return {
            "bundle": reports[0]["bundle"],
            "frames": frames,
            "dropped": sum(report["dropped"] for report in reports),
            "seconds": round(self._seconds, 3),
            "fps": round(frames / self._seconds, 2),
            "interrupted": any(report["interrupted"] for report in reports),
            **limits,
            "sources": reports,
        }

    @property
    def error(self) -> EdgeKitError | None:
        """Worst error of a source or output while the others continued; None without errors."""
        errors = [error for way in self._ways if (error := self._error_of(way))]
        sinks = [sink for way in self._ways for sink in way.sinks if isinstance(sink, QueuedSink)]
        health = [sink.health() for sink in sinks]
        errors += [OutputError(words) for sink in health if (words := loss_of(sink))]
        return max(errors, key=lambda error: error.exit_status, default=None)

    def _way(self, source: Source, detector: Detector, options: dict[str, Any]) -> _SourceParts:
        linker = make_linker(
            options["link"],
            len(detector.classes),
            max_misses=options["max_misses"],
            max_gap=options["max_gap"],
            score=options["score"],
            min_hits=options["min_hits"],
            delay=options["delay"],
            delay_seconds=options["delay_seconds"],
            history=_LIVE_HISTORY if source.live else None,
        )
        tally = TubeTally()
        sinks = self._maker.make(options, live=source.live)
        bundle = detector.bundle
        pipeline = Pipeline(
            source,
            detector,
            linker,
            [tally, *sinks],
            bundle=(bundle.manifest.name, bundle.sha256),
            score=options["score"],
            min_hits=options["min_hits"],
            drop_policy=options["drop_policy"],
            fps=options["fps"],
            motion_gate=options["motion_gate"],
            realtime=options["realtime"],
            duration=options["duration"],
            max_frames=options["max_frames"],
            patience=options["patience"],
            overlap=True,
            lanes=detector.lanes,
            turn=self._turn,
        )
        return _SourceParts(source, options, sinks, tally, pipeline)

    @staticmethod
    def _load_cost(way: _SourceParts) -> dict[str, Any]:
        """Returns the cost of dropped frames, for a source that does not wait; else nothing."""
        summary = way.tally.summary
        if summary is None or not (way.source.live or way.options["realtime"]):
            return {}
        return load_cost_json(summary.frames, way.tally.missed, way.source.fps, summary.fps)

    @staticmethod
    def _error_of(way: _SourceParts) -> EdgeKitError | None:
        """Returns the error that ended a source, or left it without frames when the run ended."""
        summary = way.tally.summary
        if way.error or summary is None or summary.away is None:
            return way.error
        return MediaError(f"{way.source.name} was away when the run ended. {summary.away}")

    def _note(self, number: int, error: EdgeKitError) -> None:
        way = self._ways[number]
        way.error = error
        _LOG.error("Source %d, %s, has ended. %s", number, way.source.name, error)

    def _report_of(self, way: _SourceParts) -> dict[str, Any]:
        tally, bundle = way.tally, self._detector.bundle
        assert tally.summary is not None
        sinks = [sink.health() for sink in way.sinks if isinstance(sink, QueuedSink)]
        failure = self._error_of(way)
        error = {"error": failure.message} if failure else {}
        return {
            "source": way.source.name,
            "bundle": {"name": bundle.manifest.name, "sha256": bundle.sha256},
            **error,
            **summary_json(tally.summary),
            **self._load_cost(way),
            "gaps": tally.gaps,
            "reconnects": tally.reconnects,
            "tubes_found": tally.tubes,
            "tubes": tally.best(self._detector.classes),
            "sinks": [_sink_json(sink) for sink in sinks],
            "codecs": {sink.name: sink.codec for sink in sinks if sink.codec},
            "files": {
                name: str(way.options[name]) for name in (*FILES, "clips") if way.options[name]
            },
        }


def _sink_json(sink: SinkHealth) -> dict[str, Any]:
    return {name: value for name, value in asdict(sink).items() if name != "codec"}
