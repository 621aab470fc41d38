"""Makes a pipeline with its sinks for each source of a run, runs all, and reports on them."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit._closing import Closing
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError, MediaError
from edgekit.files.reading import is_there
from edgekit.media import Source
from edgekit.media.sinks.queued import QueuedSink
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.fair_semaphore import FairSemaphore
from edgekit.pipeline.multiple_sources import run_all
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.protocols import run_info
from edgekit.pipeline.stage_executor import NO_TURN
from edgekit.running.bundle_swap import BundleSwap
from edgekit.running.options import RunOptions
from edgekit.running.report import RunReport, SourceReport
from edgekit.running.sink_factory import SinkFactory
from edgekit.running.sinks import TubeTally
from edgekit.system.cpu_quota import cpu_quota

__all__ = ["SourceRuns"]

_LOG = logging.getLogger(__name__)
_LIVE_HISTORY = 9000
"""Newest frames of a tube from a live source that its event keeps, at most six minutes of them.

Without the limit, memory would grow as long as a tube lives.
"""


@dataclass(slots=True)
class _SourceRun:
    """The parts that belong to one source."""

    source: Source
    options: RunOptions
    sinks: list[Sink]
    tally: TubeTally
    pipeline: Pipeline
    failure: EdgeKitError | None = None

    @property
    def error(self) -> EdgeKitError | None:
        """Error that ended the source, or left it without frames when the run ended."""
        summary = self.tally.summary
        if self.failure or summary is None or summary.away is None:
            return self.failure
        return MediaError(
            f"{self.source.name} was not reachable when the run ended. {summary.away}"
        )


class SourceRuns(Closing):
    """One pipeline per source, each with its own cascade, linker and sinks; a context manager.

    The pipelines take turns on the detector's session. A single source runs in the calling thread.
    While they run, the bundle may be replaced, if the options name its folder.

    Args:
        sources: Open sources, which stay open.
        detector: Open detector, which ``close`` closes.
        factory: Factory of the sinks.
        options: Options of the run.

    Raises:
        EdgeKitError: An option is invalid.

    Attributes:
        sources: Open sources of the run.
        bundle: Name of the first bundle.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        detector: Detector,
        factory: SinkFactory,
        options: RunOptions,
    ) -> None:
        self.sources = sources
        self.bundle = detector.bundle.manifest.name
        self._swap = BundleSwap(detector, options, live=any(source.live for source in sources))
        self._factory = factory
        self._turn = FairSemaphore(detector.lanes) if len(sources) > 1 else NO_TURN
        self._seconds = 0.0
        self._runs = [
            self._make(source, detector.sibling(), options.of_source(number))
            for number, source in enumerate(sources)
        ]

    def run(self) -> None:
        """Runs until all sources have ended.

        Raises:
            BaseException: The error that ended the run. With several sources, an error of one does
                not end the others and is not raised.
        """
        begin = time.perf_counter()
        self._swap.start()
        pipelines = [run.pipeline for run in self._runs]
        if len(pipelines) == 1:
            pipelines[0].run()
        else:
            run_all(pipelines, stop=self.stop, failed=self._note)
        self._seconds = time.perf_counter() - begin

    def check(self) -> None:
        """Raises the errors that the outputs would raise at their start; leaves nothing behind."""
        with contextlib.ExitStack() as stack:
            for run in self._runs:
                self._check_video(run)
                for sink in run.sinks:
                    stack.callback(sink.close)
                    sink.check()

    @staticmethod
    def _check_video(run: _SourceRun) -> None:
        source, path = run.source, run.options.files.video
        if isinstance(path, Path) and source.width and source.height:
            from edgekit.media.sinks.video.file import check_encoder

            check_encoder(path, run_info(source))

    def stop(self) -> None:
        """Stops all pipelines, even if a source waits for a frame; safe in a signal handler."""
        for run in self._runs:
            run.pipeline.stop()
            # Close in another thread: the signal may have interrupted this one within the source.
            threading.Thread(target=run.source.close, daemon=True).start()

    def close(self) -> None:
        """Ends the watch on the bundle, and closes the session that runs."""
        self._swap.close()

    def announce_reload(self) -> None:
        """Notifies the service manager that the configuration is read again."""
        self._factory.service.reloaded()

    def change_bundle(self, path: Path | None = None) -> None:
        """Changes to the bundle that is now at its path, if it is another; in the background.

        Args:
            path: Another path for the bundle; None for the present one.
        """
        self._swap.ask(path)

    def show_from(self, *, score: float, min_hits: int) -> None:
        """Changes the thresholds of shown tubes, from the next frame of each source."""
        for run in self._runs:
            run.pipeline.show_from(score=score, min_hits=min_hits)

    def report(self) -> RunReport:
        """Returns the result, once the run is over."""
        return RunReport(tuple(map(self._report_of, self._runs)), self._seconds, cpu_quota())

    def _make(self, source: Source, detector: Detector, options: RunOptions) -> _SourceRun:
        tubes, frames, bundle = options.tubes, options.frames, detector.bundle
        linker = tubes.linker(len(detector.classes), history=_LIVE_HISTORY if source.live else None)
        tally = TubeTally()
        sinks = self._factory.make(options, live=source.live, facts=lambda: self._swap.facts)
        pipeline = Pipeline(
            source,
            detector,
            linker,
            [tally, *sinks],
            bundle=(bundle.manifest.name, bundle.sha256),
            score=tubes.score,
            min_hits=tubes.min_hits,
            drop_policy=frames.drop_policy,
            fps=frames.fps,
            motion_gate=frames.motion_gate,
            realtime=frames.realtime,
            duration=frames.duration,
            max_frames=frames.max_frames,
            patience=options.reading.patience,
            overlap=True,
            lanes=detector.lanes,
            turn=self._turn,
        )
        self._swap.add(pipeline, sinks)
        return _SourceRun(source, options, sinks, tally, pipeline)

    def _note(self, number: int, error: EdgeKitError) -> None:
        run = self._runs[number]
        run.failure = error
        _LOG.error("Source %d, %s, has failed. %s", number, run.source.name, error)

    def _report_of(self, run: _SourceRun) -> SourceReport:
        files, frames, summary = run.options.files, run.options.frames, run.tally.summary
        assert summary is not None
        written = {**files.named(), "clips": files.clips.folder}
        waits = not (run.source.live or frames.realtime)
        sinks = tuple(sink.health() for sink in run.sinks if isinstance(sink, QueuedSink))
        failed = {sink.name for sink in sinks if sink.error and not sink.written}
        return SourceReport(
            run.source.name,
            run.pipeline.slot.current.bundle,
            run.error,
            summary,
            run.tally,
            None if waits else min(run.tally.source_fps, frames.fps or math.inf),
            sinks,
            {
                name: str(path)
                for name, path in written.items()
                if path and name not in failed and (path == "-" or is_there(Path(path)))
            },
        )
