"""Runs detector and linker on the frames of a source, in order, and passes results to sinks.

Only ``Pipeline`` knows the order of the stages, the stage clocks and the threads. It uses its
neighbours only through the few methods that it calls.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import partial

from edgekit.errors import UsageError
from edgekit.linking.confirmation import MIN_HITS, SCORE
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.capture import Capture, Work
from edgekit.pipeline.capture_scheduler import CaptureScheduler
from edgekit.pipeline.choices import DropPolicy
from edgekit.pipeline.detector_slot import DetectorSlot, InstalledDetector
from edgekit.pipeline.options import PipelineOptions
from edgekit.pipeline.protocols import (
    FrameDetector,
    FrameLinker,
    FrameSink,
    FrameSource,
    check_parts,
    run_info,
)
from edgekit.pipeline.reading.frame_reader import FrameReader
from edgekit.pipeline.reading.live_reader import PATIENCE, open_reader
from edgekit.pipeline.results import FrameResult, Gap, RunCounts, RunSummary, SourceHealth
from edgekit.pipeline.sink_group import SinkGroup
from edgekit.pipeline.stage_executor import NO_TURN, overlapped
from edgekit.pipeline.stage_timer import Clock, measure
from edgekit.tracker import Tracker

__all__ = ["Pipeline"]

_AHEAD = 2


# Many attributes: the parts of the run, and its state.
class Pipeline:
    """Runs a detector over a source. A pipeline is used for one run.

    Every frame that the source reads reaches the sinks or is counted in a gap. A dropped frame does
    not affect the next one, which is compared with the picture that precedes it by the right time.
    A real break (a reconnect, a seek, another size) resets the cascade. If the size of the picture
    changes, all tubes end.

    ``slot.replace`` changes to another detector between two frames, from any thread. No frame is
    lost. Tubes go on if the classes are the same, else they end.

    Args:
        source: Open source, which the pipeline does not close.
        detector: Open detector, which the pipeline does not close.
        linker: New tracker or linker, which returns the tubes that count by ``score`` and
            ``min_hits``.
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
        overlap: Whether three threads do capture and cascade, network, and the rest. The results
            do not change.
        lanes: Largest number of frames in the network at once, with ``overlap`` and if no frame may
            be dropped; the detector's limit also applies.
        turn: Context held during each inference if pipelines share a network: ``FairSemaphore``.

    Attributes:
        slot: Detector of the next frame.

    Raises:
        UsageError: An argument has a wrong type or is out of range, or ``latest`` is given for a
            source that is neither live nor played in real time.
    """

    def __init__(
        self,
        source: FrameSource,
        detector: FrameDetector,
        linker: FrameLinker | Tracker,
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
        check_parts(source, detector, linker)
        self._source = source
        self.slot = DetectorSlot(detector, bundle, live=source.live, fps=source.fps)
        self._shown = self.slot.current
        self._size = (source.width, source.height)
        self._options = PipelineOptions.of(
            source,
            drop_policy=drop_policy,
            fps=fps,
            motion_gate=motion_gate,
            realtime=realtime,
            duration=duration,
            max_frames=max_frames,
            patience=patience,
            overlap=overlap,
            lanes=lanes,
            turn=turn,
        )
        self._sinks = SinkGroup(sinks)
        # Times of a live source may jump, which a tracker refuses in a program's own loop.
        if isinstance(linker, Tracker):
            linker = linker.hand_over(len(detector.classes))
        self._linker = linker
        self.show_from(score=score, min_hits=min_hits)
        self._reader: FrameReader | None = None
        self._stop = threading.Event()
        self._unused = threading.Lock()  # the only run takes it
        self._counts = RunCounts(ages=Clock() if source.live else None)

    def stop(self) -> None:
        """Ends the run after the current frame; may be called from a signal handler or thread."""
        self._counts.interrupted = True
        self._stop.set()

    def show_from(self, *, score: float, min_hits: int) -> None:
        """Changes the thresholds of tubes from the next frame on; may be called from any thread.

        Tubes that are already shown stay.
        """
        self._linker.count_from(score=score, min_hits=min_hits)
        self._score = score

    @property
    def began(self) -> bool:
        """Whether all sinks have started."""
        return self._reader is not None

    def health(self) -> SourceHealth:
        """Returns the state of the source; may be called from any thread."""
        return SourceHealth() if self._reader is None else self._reader.health()

    def run(self) -> RunSummary:
        """Runs until the source ends, a limit is reached or ``stop`` is called.

        In every case, also after an error, the tubes are closed and the sinks ended first. A sink
        that fails is closed without being ended, and its error is raised.

        Raises:
            UsageError: The pipeline has run before.
        """
        if not self._unused.acquire(blocking=False):
            raise UsageError("A pipeline is used for one run.", hint="Make a new pipeline.")
        begin = time.perf_counter()
        failures: list[BaseException] = []
        for step in (self._run, lambda: self._sinks.tubes(self._linker.finish())):
            try:
                step()
            except BaseException as error:
                failures.append(error)
        self.slot.close()
        summary = self._counts.summary(
            time.perf_counter() - begin,
            gate=None if self._options.gate is None else self._options.gate.summary(),
            away=None if self._reader is None else self._reader.away,
            failures=failures,
        )
        try:
            self._sinks.tell(lambda sink: sink.end(summary))
        except BaseException as error:
            failures.append(error)
        failures += self._sinks.close()
        if failures:
            raise failures[0]
        return summary

    def _run(self) -> None:
        source, options = self._source, self._options
        info = replace(
            run_info(source, self._shown.detector.classes),
            bundle=self._shown.bundle[0],
            bundle_sha256=self._shown.bundle[1],
            score=self._score,
            health=self.health,
            longest_step=0.0 if options.sampling is None else options.sampling.longest_step,
        )
        self._sinks.tell(lambda sink: sink.start(info))
        reader = self._reader = open_reader(
            source, self._stop, options, recent=self._shown.recent, waiting=self._wait
        )
        scheduler = CaptureScheduler(self._stop) if options.latest and options.overlap else None
        capture = Capture(
            reader,
            self.slot,
            self._shown,
            self._stop,
            duration=options.duration,
            max_frames=options.max_frames,
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
            reader.close()

    def _inferred(
        self, capture: Iterable[Work], scheduler: CaptureScheduler | None
    ) -> Generator[Work]:
        options, turn = self._options, self._options.turn
        if options.overlap:
            infer = partial(Work.infer, scheduler=scheduler)
            size, lanes = 1 if options.latest else _AHEAD, options.lanes
            yield from overlapped(
                iter(capture), infer, size=size, lanes=lanes, turn=turn, waiting=self._wait
            )
            return
        for work in capture:
            with turn:
                work.infer()
            yield work

    def _wait(self) -> None:
        """Ends the tubes of a lost source that no frame can continue, in the thread that links."""
        health = self.health()
        if not (health.connected or self.slot.current.frames):
            gone = time.monotonic() - health.since
            self._sinks.tubes(self._linker.wait(gone, health.fps or self._source.fps))

    def _complete(self, work: Work) -> None:
        for gap in work.gaps:
            self._gap(gap)
        if work.frame is not None:
            self._report_bundles(work.installed, work.frame.index)
        if work.size is not None:
            self._size = work.size
            self._sinks.tubes(self._linker.resize(work.size))
        if work.error is not None:
            raise work.error
        if work.frame is None:
            return
        ms = work.ms
        with measure(ms, "decode"):
            detections = work.installed.detector.decode(work.outputs, work.letterbox)
        self.slot.leave(work.installed)
        with measure(ms, "link"):
            update = self._linker.update(detections, work.frame.time)
        if (gate := self._options.gate) is not None:
            gate.acting = [tube.box for tube in update.live]
        age = None if self._counts.ages is None else work.age
        self._counts.frames += 1
        result = FrameResult(work.frame, detections, update.live, dict(ms), age, self._score)
        with measure(ms, "emit"):
            self._sinks.tell(lambda sink: sink.frame(result))
            self._sinks.tubes(update.closed)
        self._counts.times(ms, age)

    def _report_bundles(self, installed: InstalledDetector, index: int) -> None:
        """Reports refused bundles, and another one that begins with this frame."""
        before, classes = self._shown.detector.classes, installed.detector.classes
        while self.slot.refused:
            name, sha256, error = self.slot.refused.popleft()
            self._sinks.bundle(BundleChange(name, sha256, index, before, error))
        if installed is not self._shown:
            self._shown = installed
            if classes != before:
                self._sinks.tubes(self._linker.change_classes(len(classes), index, self._size))
            self._sinks.bundle(BundleChange(*installed.bundle, index, classes))

    def _gap(self, gap: Gap) -> None:
        self._counts.gap(gap)
        self._sinks.tell(lambda sink: sink.gap(gap))
        still = gap.reason == "still"
        self._sinks.tubes((self._linker.hold if still else self._linker.skip)(gap.frames))
