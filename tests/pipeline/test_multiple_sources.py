"""Tests several pipelines at once on one detector."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgekit.errors import MediaError, OutputError
from edgekit.linking.registry import make_linker
from edgekit.pipeline import multiple_sources
from edgekit.pipeline.fair_semaphore import FairSemaphore
from edgekit.pipeline.multiple_sources import run_all
from edgekit.pipeline.pipeline import Pipeline
from edgekit.runtime.types import Detections, Frame


class Source:
    """So many frames, then an end or an error."""

    name, width, height, fps, frames, live, reopens = "made", 8, 6, 25.0, None, False, False
    sample_aspect = 1.0

    def __init__(self, count, error=None):
        self._count, self._error = count, error
        self.position = 0

    def read(self):
        if self.position == self._count:
            if self._error is not None:
                raise self._error
            return None
        self.position += 1
        image = np.zeros((6, 8, 3), np.uint8)
        return Frame(self.position - 1, (self.position - 1) / 25, image)


class Detector:
    """One network for all, which notes whether it was asked twice at the same time."""

    classes = ("walk",)

    def __init__(self):
        self.busy = threading.Lock()
        self.asked = 0

    def reset(self):
        pass

    def recent_frames(self):
        return None

    def prepare(self, image, sample_aspect=1.0, earlier=None):
        return image, None

    def infer(self, inputs):
        assert self.busy.acquire(blocking=False)
        self.asked += 1
        self.busy.release()
        return inputs

    def release(self, inputs):
        pass

    def decode(self, outputs, letterbox):
        return Detections.empty(1)


class Sink:
    """Raises when a run begins, if it is told to."""

    def __init__(self, error=None):
        self._error = error
        self.closed = False

    def start(self, info):
        if self._error is not None:
            raise self._error

    def gap(self, gap):
        pass

    frame = tube = end = gap

    def close(self):
        self.closed = True


@pytest.fixture
def running():
    """Runs sources, each with a sink, on one detector; what came of it."""

    def run(sources, sinks=None):
        detector, turn = Detector(), FairSemaphore()
        sinks = sinks or [Sink() for _ in sources]
        pipelines = [
            Pipeline(source, detector, make_linker("edgekit", 1), [sink], overlap=True, turn=turn)
            for source, sink in zip(sources, sinks, strict=True)
        ]
        failures = []
        found = SimpleNamespace(detector=detector, failures=failures, outcomes=[], error=None)

        def stop():
            for pipeline in pipelines:
                pipeline.stop()

        try:
            found.outcomes = run_all(
                pipelines, stop=stop, failed=lambda number, error: failures.append((number, error))
            )
        except BaseException as error:
            found.error = error
        assert all(sink.closed for sink in sinks)
        return found

    return run


def test_each_has_its_end_and_the_network_one_user_at_a_time(running):
    found = running([Source(count) for count in (40, 3, 25, 0)])
    assert [outcome.frames for outcome in found.outcomes] == [40, 3, 25, 0]
    assert found.detector.asked == 68
    assert not any(outcome.interrupted for outcome in found.outcomes)


def test_one_that_fails_leaves_the_others_going(running):
    error = MediaError("The pipe is no y4m any more.")
    found = running([Source(5, error), Source(60)])
    assert found.outcomes[0] is error
    assert found.outcomes[1].frames == 60
    assert found.failures == [(0, error)]


def test_one_that_cannot_begin_ends_them_all(running):
    error = OutputError("Cannot write.")
    found = running([Source(10**9), Source(5)], [Sink(), Sink(error)])
    assert found.error is error
    assert not found.failures


@pytest.mark.parametrize("error", [BrokenPipeError(), ZeroDivisionError()])
def test_an_error_of_another_kind_ends_them_all(running, error):
    assert running([Source(5, error), Source(10**9)]).error is error


@pytest.mark.parametrize("overlap", [False, True])
def test_a_source_in_which_nothing_moves_asks_for_no_turn(overlap):
    class Counting(FairSemaphore):
        asked = 0

        def __enter__(self):
            self.asked += 1
            super().__enter__()

    turn, detector = Counting(), Detector()
    pipelines = [
        Pipeline(
            Source(500),
            detector,
            make_linker("edgekit", 1),
            motion_gate=gate,
            overlap=overlap,
            turn=turn,
        )
        for gate in (True, False)
    ]
    still, other = run_all(pipelines, stop=lambda: None, failed=lambda *_: None)
    assert other.frames == 500
    assert still.frames + still.skipped["still"] == 500
    assert still.frames < 120
    assert turn.asked == pytest.approx(500 + still.frames, abs=2)


def test_an_interrupt_while_waiting_ends_them_all_and_comes_through():
    def interrupted(number, error):
        raise KeyboardInterrupt

    pipelines = [
        Pipeline(source, Detector(), make_linker("edgekit", 1), overlap=True)
        for source in (Source(5, MediaError("It is cut off.")), Source(10**9))
    ]

    def stop():
        for pipeline in pipelines:
            pipeline.stop()

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run_all(pipelines, stop=stop, failed=interrupted)
    assert threading.active_count() == before


def test_an_interrupt_does_not_wait_for_a_thread_that_is_stuck(monkeypatch):
    monkeypatch.setattr(multiple_sources, "_LEAVING", 0.05)
    release = threading.Event()

    class Stuck(Source):
        def read(self):
            release.wait()

    def interrupted(number, error):
        raise KeyboardInterrupt

    stuck = Pipeline(Stuck(1), Detector(), make_linker("edgekit", 1))
    cut_off = Pipeline(Source(5, MediaError("It is cut off.")), Detector(), make_linker("road", 1))
    late = threading.Timer(60, release.set)
    late.start()
    with pytest.raises(KeyboardInterrupt):
        run_all([stuck, cut_off], stop=stuck.stop, failed=interrupted)
    late.cancel()
    assert not release.is_set()
    release.set()
