"""Takes frames from a source through detector and linker into the sinks.

Only ``Pipeline`` knows the order of the stages, the stage clocks and the threads. It uses its
neighbours only through the few methods that it calls.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Literal

from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.linking.confirmation import MIN_HITS, SCORE
from edgekit.pipeline.capture import Capture, Work
from edgekit.pipeline.capture_scheduler import CaptureScheduler
from edgekit.pipeline.frame_reader import DirectFeed, Feed
from edgekit.pipeline.live_reader import PATIENCE, LiveFeed
from edgekit.pipeline.motion_gate import MotionGate
from edgekit.pipeline.protocols import FrameDetector, FrameLinker, FrameSink, FrameSource
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary, SourceHealth
from edgekit.pipeline.sampling import FrameRateCap, Sampling
from edgekit.pipeline.stage_executor import NO_TURN, overlapped
from edgekit.pipeline.stage_timer import Clock, StageClocks, measure
from edgekit.runtime.types import Tube

__all__ = ["DropPolicy", "Pipeline"]

DropPolicy = Literal["latest", "none"]

_AHEAD = 2


class Pipeline:
    """Runs a detector over a source. A pipeline is used for one run.

    Every frame that the source reads reaches the sinks or is counted in a gap. A dropped frame does
    not affect the next one, which is compared with the picture that precedes it by the right time.
    A real break (a reconnect, a seek, another size) resets the cascade. If the size of the picture
    changes, all tubes end.

    Args:
        source: Open source, which the pipeline does not close.
        detector: Open detector, which the pipeline does not close.
        linker: New linker, which returns the tubes that count by ``score`` and ``min_hits``.
        sinks: Sinks, called in this order, and closed at the end in any case.
        bundle: Name and SHA-256 of the bundle, for the sinks.
        score: Smallest score of detections and tubes that count.
        min_hits: Smallest number of detections of tubes that count.
        drop_policy: ``latest`` keeps only the newest frame, ``none`` loses no frame; the default is
            ``latest`` for a live source and ``none`` for others.
        fps: Largest number of frames per second to process, evenly in time; None for every frame.
            Other frames are counted in gaps with the reason ``fps``, and not as dropped.
        motion_gate: Whether to leave out frames while nothing moves, except one every three
            seconds. They are counted in gaps with the reason ``still``, and tubes are held
            meanwhile.
        realtime: Whether to give each frame of a file at its own time.
        duration: Seconds of the source after which to stop.
        max_frames: Number of frames after which to stop.
        patience: Seconds without a frame after which EdgeKit reconnects a live source.
        overlap: Whether to work in three threads: capture and cascade, network, and the rest. The
            results do not change.
        lanes: Largest number of frames in the network at once, with ``overlap`` and if no frame may
            be dropped; the detector's limit also applies.
        turn: Context held during each inference, if several pipelines share a network: a
            ``FairSemaphore``.

    Raises:
        UsageError: ``latest`` is given for a source that is neither live nor played in real time,
            or ``fps`` is not a number above 0.
    """

    def __init__(
        self,
        source: FrameSource,
        detector: FrameDetector,
        linker: FrameLinker,
        sinks: Iterable[FrameSink] = (),
        *,
        bundle: tuple[str, str] = ("", ""),
        score: float = SCORE,
        min_hits: int = MIN_HITS,
        drop_policy: DropPolicy | None = None,
        fps: float | None = None,
        motion_gate: bool = False,
        realtime: bool = False,
        duration: float | None = None,
        max_frames: int | None = None,
        patience: float = PATIENCE,
        overlap: bool = False,
        lanes: int = 1,
        turn: contextlib.AbstractContextManager[object] = NO_TURN,
    ) -> None:
        if drop_policy == "latest" and not (source.live or realtime):
            raise UsageError(
                f"{parameter('drop_policy', 'latest')} drops what is too old, and nothing of a "
                "file ever is.",
                hint=f"Add {parameter('realtime', True)} to play the file at its own speed, or "
                "leave the policy out.",
            )
        self._source = source
        self._detector = detector
        self._linker = linker
        self._sinks = list(sinks)
        self._bundle = bundle
        self._score = score
        linker.count_from(score=score, min_hits=min_hits)
        self._latest = drop_policy == "latest" or (drop_policy is None and source.live)
        self._realtime = realtime and not source.live
        self._duration = float("inf") if duration is None else duration
        self._sampling: Sampling | None = None
        cap = None if fps is None else FrameRateCap(fps)
        self._gate = MotionGate(source.name) if motion_gate else None
        if cap or self._gate:
            self._sampling = Sampling(cap, self._gate, until=self._duration)
        self._max_frames = float("inf") if max_frames is None else max_frames
        self._patience = patience
        self._overlap = overlap
        self._lanes = 1 if self._latest else lanes
        self._turn = turn
        self._feed: Feed | None = None
        self._stop = threading.Event()
        self._interrupted = False
        self._clocks = StageClocks()
        self._ages = Clock() if source.live else None
        self._frames = 0
        self._dropped = 0
        self._skipped: Counter[str] = Counter()

    def stop(self) -> None:
        """Ends the run after the current frame; may be called from a signal handler or thread."""
        self._interrupted = True
        self._stop.set()

    def show_from(self, *, score: float, min_hits: int) -> None:
        """Changes the thresholds of tubes from the next frame on; may be called from any thread.

        Tubes that are already shown stay.
        """
        self._score = score
        self._linker.count_from(score=score, min_hits=min_hits)

    @property
    def began(self) -> bool:
        """Whether all sinks have started."""
        return self._feed is not None

    def health(self) -> SourceHealth:
        """Returns the state of the source; may be called from any thread."""
        return SourceHealth() if self._feed is None else self._feed.health()

    def run(self) -> RunSummary:
        """Runs until the source ends, a limit is reached or ``stop`` is called.

        In every case, also after an error, the tubes are closed and the sinks ended first. A sink
        that fails is closed without being ended, and its error is raised.
        """
        begin = time.perf_counter()
        failures: list[BaseException] = []
        try:
            self._run()
        except BaseException as error:
            failures.append(error)
        self._guard(failures, self._finish)
        summary = RunSummary(
            self._frames,
            self._dropped,
            time.perf_counter() - begin,
            self._clocks.times(),
            self._interrupted,
            self._ages.times() if self._ages else None,
            dict(self._skipped),
            None if self._gate is None else self._gate.summary(),
            None if self._feed is None else self._feed.away,
        )
        self._guard(failures, lambda: self._tell(lambda sink: sink.end(summary)))
        for sink in self._sinks:
            self._guard(failures, sink.close)
        if failures:
            raise failures[0]
        return summary

    @staticmethod
    def _guard(failures: list[BaseException], step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:
            failures.append(error)

    def _run(self) -> None:
        source = self._source
        info = RunInfo(
            source.name,
            source.width,
            source.height,
            source.fps,
            source.frames,
            self._detector.classes,
            *self._bundle,
            score=self._score,
            sample_aspect=source.sample_aspect,
            health=self.health,
            longest_step=0.0 if self._sampling is None else self._sampling.longest_step,
        )
        self._tell(lambda sink: sink.start(info))
        feed = self._feed = self._open_feed()
        scheduler = CaptureScheduler(self._stop) if self._latest and self._overlap else None
        capture = Capture(
            feed,
            self._detector,
            self._stop,
            duration=self._duration,
            max_frames=self._max_frames,
            scheduler=scheduler,
        )
        try:
            with contextlib.closing(self._inferred(capture, scheduler)) as works:
                try:
                    for work in works:
                        self._complete(work)
                        if self._stop.is_set():
                            break
                finally:
                    self._stop.set()  # threads that work ahead can stop
        finally:
            feed.close()

    def _inferred(
        self, capture: Iterable[Work], scheduler: CaptureScheduler | None
    ) -> Generator[Work]:
        def infer(work: Work) -> None:
            with scheduler.inference() if scheduler is not None else contextlib.nullcontext():
                work.infer(self._detector)

        if self._overlap:
            size = 1 if self._latest else _AHEAD
            lanes, turn = self._lanes, self._turn
            yield from overlapped(iter(capture), infer, size=size, lanes=lanes, turn=turn)
            return
        for work in capture:
            with self._turn:
                infer(work)
            yield work

    def _open_feed(self) -> Feed:
        recent = self._detector.recent_frames()
        if recent is not None:
            recent.reencoded = self._source.live
        if not (self._latest or self._source.live):
            return DirectFeed(
                self._source,
                self._stop,
                realtime=self._realtime,
                recent=recent,
                sampling=self._sampling,
            )
        return LiveFeed(
            self._source,
            self._stop,
            newest=self._latest,
            realtime=self._realtime,
            patience=self._patience,
            duration=self._duration,
            recent=recent,
            sampling=self._sampling,
        )

    def _complete(self, work: Work) -> None:
        for gap in work.gaps:
            self._gap(gap)
        if work.size is not None:
            self._close_tubes(self._linker.resize(work.size))
        if work.error is not None:
            raise work.error
        if work.frame is None:
            return
        ms = work.ms
        with measure(ms, "decode"):
            detections = self._detector.decode(work.outputs, work.letterbox)
        with measure(ms, "link"):
            update = self._linker.update(detections, work.frame.time)
        if self._gate is not None:
            self._gate.acting = [tube.box for tube in update.live]
        self._frames += 1
        age = work.age if self._ages else None
        result = FrameResult(work.frame, detections, update.live, dict(ms), age, self._score)
        with measure(ms, "emit"):
            self._tell(lambda sink: sink.frame(result))
            self._close_tubes(update.closed)
        self._clocks.add(ms)
        if self._ages is not None and age is not None:
            self._ages.add(age / 1e3)

    def _gap(self, gap: Gap) -> None:
        if gap.intended:
            self._skipped[gap.reason] += gap.frames
        else:
            self._dropped += gap.frames
        self._tell(lambda sink: sink.gap(gap))
        still = gap.reason == "still"
        self._close_tubes((self._linker.hold if still else self._linker.skip)(gap.frames))

    def _finish(self) -> None:
        self._close_tubes(self._linker.finish())

    def _close_tubes(self, closed: Iterable[Tube]) -> None:
        for tube in closed:
            self._tell(partial(_tell_tube, tube))

    def _tell(self, call: Callable[[FrameSink], None]) -> None:
        """Calls every sink; a sink that fails gets no further call except ``close``."""
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


def _tell_tube(tube: Tube, sink: FrameSink) -> None:
    sink.tube(tube)
