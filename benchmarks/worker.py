"""Measures one row of ``edgekit bench``, in a process that no other row has used.

``python -m edgekit.benchmarks.worker`` reads requests from standard input and answers on standard
output; see ``edgekit.benchmarks.protocol``.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from pathlib import Path
from typing import IO, Any

from edgekit._parameters import write_flags
from edgekit.benchmarks.protocol import (
    LEAST,
    SETTLE,
    AccuracyReply,
    AccuracyRequest,
    Failed,
    Job,
    Lap,
    Load,
    Loaded,
    Profiled,
    ProfileRequest,
    Ready,
    Reply,
    Request,
    failure_of,
    from_line,
    pass_length,
    to_line,
    too_short,
)
from edgekit.benchmarks.report.report import Accuracy
from edgekit.datasets.annotations import Truth
from edgekit.detector import Detector
from edgekit.errors import AnnotationError, EdgeKitError
from edgekit.linking.registry import make_linker
from edgekit.media import open_source
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.pipeline.stage_timer import STAGES
from edgekit.runtime.types import Tube
from edgekit.system.own_process import claim_process
from edgekit.targets.base import SessionOptions

__all__ = ["main"]

_LINK = "edgekit"
_STEADY = 0.05
_MOST_PASSES = 12
_MOST_SECONDS = 20.0


class _Recorder(Sink):
    """Writes the events as ``run`` does, and records the stage times of each frame."""

    def __init__(self, events: EventsSink) -> None:
        self._events = events
        self.stages: list[list[float]] = []
        self.marks: list[tuple[float, float]] = []

    def start(self, info: RunInfo) -> None:
        self._events.start(info)

    def gap(self, gap: Gap) -> None:
        self._events.gap(gap)

    def frame(self, result: FrameResult) -> None:
        begin = time.perf_counter()
        self._events.frame(result)
        end = time.perf_counter()
        taken = [result.ms[stage] for stage in STAGES[:-1]]
        self.stages.append([*taken, 1e3 * (end - begin)])
        self.marks.append((end, time.process_time()))

    def tube(self, tube: Tube) -> None:
        begin = time.perf_counter()
        self._events.tube(tube)
        self.stages[-1][-1] += 1e3 * (time.perf_counter() - begin)

    def end(self, summary: RunSummary) -> None:
        self._events.end(summary)

    def close(self) -> None:
        self._events.close()


class _Course:
    """Runs a detector over the footage repeatedly."""

    def __init__(self, job: Job, detector: Detector) -> None:
        self._job = job
        self._detector = detector

    def play(self, frames: int) -> _Recorder:
        """Processes the first ``frames`` of the footage, as ``edgekit run`` with ``--events``."""
        recorder = _Recorder(EventsSink(os.devnull))
        self._detector.reset()
        with open_source(self._job.source) as source:
            linker = make_linker(_LINK, len(self._detector.classes))
            Pipeline(
                source,
                self._detector,
                linker,
                [recorder],
                max_frames=frames,
                overlap=self._job.overlap,
                lanes=self._detector.lanes,
            ).run()
        return recorder

    def lap(self) -> Lap:
        """Measures one whole pass."""
        begin = time.process_time()
        recorder = self.play(pass_length(self._job.frames))
        counted = len(recorder.stages) - pass_length(0)
        if counted < LEAST:
            raise too_short(self._job.source, len(recorder.stages))
        first, last = recorder.marks[SETTLE - 1], recorder.marks[-2]
        return Lap(
            stages=[[round(t, 4) for t in frame] for frame in recorder.stages[SETTLE:-1]],
            seconds=last[0] - first[0],
            cpu_seconds=last[1] - first[1],
            whole_cpu_seconds=time.process_time() - begin,
            passed=len(recorder.stages),
            peak_memory=_peak_memory(),
        )

    def warm_up(self) -> tuple[int, bool]:
        """Runs short passes until two in a row have medians within 5%.

        Returns:
            The frames that it took, and whether the times became steady within the limit.
        """
        frames, before = 0, 0.0
        begin = time.monotonic()
        for _ in range(_MOST_PASSES):
            taken = self.play(pass_length(LEAST)).stages
            frames += len(taken)
            median = statistics.median(map(sum, taken[SETTLE:] or taken))
            if abs(median - before) <= _STEADY * median:
                return frames, True
            if time.monotonic() - begin > _MOST_SECONDS:
                break
            before = median
        return frames, False


def _peak_memory() -> int | None:
    """Returns the largest memory use of this process, in bytes."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        # getrusage includes the parent's memory if the process was created by vfork.
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most
    return None


def _truth(root: str) -> Truth:
    from edgekit.datasets.published import read_truth

    truth = read_truth("json", Path(root))
    if not any(video.tubes for video in truth.videos):
        raise AnnotationError(f"No video of {root} has an annotated action.")
    return truth


def _accuracy(job: Job, options: SessionOptions, root: str) -> AccuracyReply:
    from edgekit.evaluation.detection import detect_videos
    from edgekit.metrics.evaluate import evaluate

    saved = detect_videos(Path(job.bundle), _truth(root), options=options)
    found = evaluate(saved, link=_LINK)
    accuracy = Accuracy(
        frame_map=found.frame_map,
        video_map=found.video_map,
        videos=len(found.tubes),
        frames=found.frames,
    )
    return AccuracyReply(accuracy=accuracy)


def _load(job: Job, detector: Detector, root: str) -> Loaded:
    from edgekit.benchmarks.under_load import measure_under_load

    return Loaded(points=measure_under_load(detector, _truth(root), job.source))


def _profile(job: Job, detector: Detector) -> Profiled:
    from edgekit.benchmarks.operators import profile_on

    try:
        return Profiled(operators=profile_on(detector, job.source))
    except EdgeKitError as error:  # the row's other figures are still valid
        return Profiled(operators=None, reason=f"{error.message} {error.hint}".strip())


class _Channel:
    """Receives requests and sends replies; all other output goes to standard error."""

    def __init__(self) -> None:
        self._in: IO[bytes] = sys.stdin.buffer
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def receive(self) -> Any:
        """Returns the next request; None when there are no more."""
        line = self._in.readline()
        return from_line(line, Request) if line else None

    def send(self, reply: Reply) -> None:
        """Sends a reply."""
        with contextlib.suppress(BrokenPipeError):
            self._out.write(to_line(reply))


def _serve(channel: _Channel) -> None:
    job = channel.receive()
    if job is None:
        return
    options = SessionOptions(
        runtime=job.runtime,
        threads=job.threads,
        arithmetic=job.arithmetic,
        hint="throughput" if job.overlap else None,
    )
    with Detector(job.bundle, options=options) as detector:
        course = _Course(job, detector)
        course.play(1)
        first_frame = time.monotonic() - job.begun
        warm_up, steady = course.warm_up()
        said = detector.session.describe()
        channel.send(
            Ready(
                first_frame=first_frame,
                version=said["version"],
                device=said["device"],
                arithmetic=said["arithmetic"],
                warm_up=warm_up,
                steady=steady,
            )
        )
        while (request := channel.receive()) is not None:
            if isinstance(request, AccuracyRequest):
                channel.send(_accuracy(job, options, request.root))
            elif isinstance(request, Load):
                channel.send(_load(job, detector, request.root))
            elif isinstance(request, ProfileRequest):
                channel.send(_profile(job, detector))
            else:
                channel.send(course.lap())


def main(*, as_flags: bool = False) -> None:
    """Serves one ``edgekit bench`` until it has no more requests.

    Args:
        as_flags: Whether the errors name flags of the command line, as in the starting process.
    """
    claim_process()
    write_flags(as_flags)
    channel = _Channel()
    try:
        _serve(channel)
    except EdgeKitError as error:
        channel.send(Failed(failure=failure_of(error)))
    except Exception as error:  # a failing row must not end the others
        broken = EdgeKitError(f"{type(error).__name__}: {error}")
        channel.send(Failed(failure=failure_of(broken)))


if __name__ == "__main__":
    main()
