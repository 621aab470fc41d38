from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import OutputError
from edgekit.media.sinks import queued
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.queued import QueuedSink
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.results import FrameResult
from edgekit.runtime.types import Detections, Frame
from edgekit.system import backoff
from tests.waiting import LIMIT, wait_until

IMAGE = np.zeros((4, 5, 3), np.uint8)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(backoff, "_FIRST", 0.001)
    monkeypatch.setattr(queued, "_CALL_SECONDS", LIMIT)
    monkeypatch.setattr(queued, "_ENDING_SECONDS", LIMIT)


class Recorder(Sink):
    """Notes its calls; waits at ``hold`` and raises at ``failing``, as it is told to."""

    def __init__(self, *, hold=(), failing=(), reopens=()):
        self.calls = []
        self.threads = set()
        self.reached, self.released = threading.Event(), threading.Event()
        self._hold, self._failing, self._reopens = set(hold), list(failing), list(reopens)

    def _note(self, *call):
        self.threads.add(threading.current_thread())
        if call in self._hold:
            self.reached.set()
            assert self.released.wait(LIMIT)
        if call in self._failing:
            self._failing.remove(call)
            raise OutputError(f"no {call[0]}")
        self.calls.append(call)

    def start(self, info):
        self._note("start", info)

    def gap(self, gap):
        self._note("gap", gap)

    def frame(self, result):
        self._note("frame", result.frame.index)

    def tube(self, tube):
        self._note("tube", tube)

    def end(self, summary):
        self._note("end", summary)

    def close(self):
        self.calls.append(("close",))

    def reopen(self):
        self.calls.append(("reopen",))
        answer = self._reopens.pop(0) if self._reopens else False
        if isinstance(answer, Exception):
            raise answer
        return answer


def give(sink, calls, image=IMAGE):
    for kind, value in calls:
        frame = FrameResult(Frame(value, 0.0, image), Detections.empty(1), [])
        getattr(sink, kind)(frame if kind == "frame" else value)


def written(recorder):
    return [call for call in recorder.calls if call[0] not in ("close", "reopen")]


INDICES = st.integers(0, 2**53)
CALLS = st.lists(st.tuples(st.sampled_from(["gap", "frame", "tube"]), INDICES), max_size=40)


@settings(max_examples=30, deadline=None)
@given(calls=CALLS, room=st.integers(1, 3), live=st.booleans())
def test_calls_arrive_in_order_and_only_frames_of_a_live_source_are_lost(calls, room, live):
    inner = Recorder()
    sink = QueuedSink(inner, "events", live=live, frames=room)
    calls = [("start", 0), *calls, ("end", 0)]
    give(sink, calls)
    sink.close()
    sink.close()
    got, rest = written(inner), iter(calls)
    assert all(call in rest for call in got)  # a subsequence
    assert [call for call in got if call[0] != "frame"] == [c for c in calls if c[0] != "frame"]
    if not live:
        assert got == calls
    assert sink.health() == SinkHealth("events", len(got) - 2, len(calls) - len(got))
    (thread,) = inner.threads
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_far_more_frames_wait_for_a_sink_that_needs_no_pictures():
    sizes = []

    class Lines(Recorder):
        needs_pictures = False

        def frame(self, result):
            sizes.append((result.frame.image.size, result.frame.earlier))
            super().frame(result)

    inner = Lines(hold=[("frame", 0)])
    sink = QueuedSink(inner, "events", live=True, frames=3)
    give(sink, [("start", 0), ("frame", 0)])
    assert inner.reached.wait(LIMIT)
    give(sink, [("frame", n) for n in range(1, 3 * 32 + 3)])
    inner.released.set()
    give(sink, [("end", 0)])
    sink.close()
    assert [index for _, index in written(inner)[1:-1]] == list(range(3 * 32 + 1))
    assert sink.health().lost == 2
    assert set(sizes) == {(0, None)}


def test_a_slow_sink_of_a_live_source_loses_frames_and_holds_nobody_up(caplog):
    inner = Recorder(hold=[("frame", 0)])
    sink = QueuedSink(inner, "events", live=True, frames=3, others=10)
    give(sink, [("start", 0), ("frame", 0)])
    assert inner.reached.wait(LIMIT)
    give(sink, [("frame", n) for n in range(1, 9)])
    give(sink, [("tube", n) for n in range(9)])
    slow = "It is slower than the source."
    assert sink.health() == SinkHealth("events", 0, 5 + 2, slow, last_error=slow)
    inner.released.set()
    wait_until(lambda: ("tube", 6) in inner.calls)
    wait_until(lambda: sink.health().error is None)  # it has caught up
    give(sink, [("end", 0)])
    sink.close()
    assert written(inner)[1:-1] == [
        *(("frame", n) for n in range(4)),
        *(("tube", n) for n in range(7)),
    ]
    assert sink.health() == SinkHealth("events", 4 + 7, 5 + 2)
    assert caplog.text.count("events is slower than the source") == 1


def test_large_pictures_wait_in_bounded_memory():
    inner = Recorder(hold=[("frame", 0)])
    image = np.zeros((10, 10, 3), np.uint8)
    sink = QueuedSink(inner, "video", live=True, pixels=2 * image.nbytes)
    give(sink, [("start", 0), ("frame", 0)], image)
    assert inner.reached.wait(LIMIT)
    give(sink, [("frame", n) for n in range(1, 4)], image)
    assert sink.health().lost == 1
    inner.released.set()
    wait_until(lambda: ("frame", 2) in inner.calls)
    # One alone may be of any size.
    huge = np.zeros((30, 30, 3), np.uint8)
    give(sink, [("frame", 4)], huge)
    wait_until(lambda: ("frame", 4) in inner.calls)
    give(sink, [("end", 0)])
    sink.close()
    assert sink.health() == SinkHealth("video", 4, 1)


def test_a_file_waits_for_a_slow_sink():
    inner = Recorder(hold=[("frame", 0)])
    sink = QueuedSink(inner, "events", live=False, frames=2)
    sink.start(0)
    giver = threading.Thread(target=give, args=(sink, [("frame", n) for n in range(9)]))
    giver.start()
    assert inner.reached.wait(LIMIT)
    inner.released.set()
    giver.join(LIMIT)
    sink.close()
    assert written(inner) == [("start", 0), *(("frame", n) for n in range(9))]


@pytest.mark.parametrize("live", [False, True])
def test_what_start_raises_is_raised_at_once(live):
    inner = Recorder(failing=[("start", 0)])
    sink = QueuedSink(inner, "events", live=live)
    with pytest.raises(OutputError, match="no start"):
        sink.start(0)
    sink.close()
    assert set(inner.calls) == {("close",)}


@pytest.mark.parametrize("failing", [("frame", 2), ("tube", 3), ("end", 0)])
def test_on_a_file_an_error_ends_the_sink_and_is_raised_once(failing):
    inner = Recorder(failing=[failing])
    sink = QueuedSink(inner, "events", live=False)
    sink.start(0)
    with pytest.raises(OutputError, match=f"no {failing[0]}"):  # noqa: PT012
        give(sink, [("frame", 1), ("frame", 2), ("tube", 3), ("end", 0)])
        sink.close()
    sink.close()
    assert sink.health().error == f"no {failing[0]}."
    assert inner.calls[-1] == ("close",)
    assert ("reopen",) not in inner.calls
    assert failing not in written(inner)


def test_on_a_live_source_a_failing_sink_is_reopened_and_goes_on(caplog):
    failing = [("frame", 1), ("tube", 2)]
    inner = Recorder(failing=failing, reopens=[OSError("not yet"), True, True])
    sink = QueuedSink(inner, "events", live=True)
    give(sink, [("start", 0), ("frame", 1), ("tube", 2), ("frame", 3)])
    wait_until(lambda: ("frame", 3) in inner.calls)
    sink.end(0)
    sink.close()
    # A frame that failed is lost, a tube is given again.
    assert written(inner)[1:-1] == [("tube", 2), ("frame", 3)]
    assert inner.calls.count(("reopen",)) == 3
    assert sink.health() == SinkHealth("events", 2, 1, last_error="no tube.")
    assert caplog.text.count("events: no frame.") == 1  # the others are not worth a warning
    assert "no tube" not in caplog.text


def test_on_a_live_source_a_sink_that_cannot_go_on_is_counted_and_never_raises():
    inner = Recorder(failing=[("frame", 1)])
    sink = QueuedSink(inner, "events", live=True)
    give(sink, [("start", 0), ("frame", 0), ("frame", 1)])
    wait_until(lambda: ("close",) in inner.calls)
    give(sink, [("tube", 2), ("end", 0)])
    sink.close()
    assert sink.health() == SinkHealth("events", 1, 2, "no frame.", last_error="no frame.")


def test_a_reader_that_has_left_ends_a_live_run_too():
    class Left(Recorder):
        def frame(self, result):
            raise BrokenPipeError

    sink = QueuedSink(Left(), "events", live=True, fatal=(BrokenPipeError,))
    with pytest.raises(BrokenPipeError):  # noqa: PT012
        give(sink, [("start", 0), ("frame", 0)])
        sink.close()


def test_a_stuck_sink_of_a_live_source_is_left_behind(monkeypatch):
    monkeypatch.setattr(queued, "_CALL_SECONDS", 0.01)
    inner = Recorder(hold=[("frame", 0)])
    sink = QueuedSink(inner, "events", live=True)
    give(sink, [("start", 0), ("frame", 0)])
    assert inner.reached.wait(LIMIT)
    give(sink, [("frame", 1), ("tube", 2), ("end", 0)])
    sink.close()
    error = "It did not end in time."
    # The frame that it holds is lost too: the run ends, whatever becomes of it.
    assert sink.health() == SinkHealth("events", 0, 3, error, last_error=error)
    inner.released.set()
    (thread,) = inner.threads
    thread.join(LIMIT)
    assert inner.calls[-2:] == [("frame", 0), ("close",)]  # it closes itself when it can
    assert sink.health() == SinkHealth("events", 0, 3, error, last_error=error)


def test_a_slow_sink_of_a_live_source_that_goes_on_is_waited_for(monkeypatch):
    class Slow(Recorder):
        def frame(self, result):
            time.sleep(0.05)
            super().frame(result)

    monkeypatch.setattr(queued, "_CALL_SECONDS", 0.2)  # all calls together take longer
    inner = Slow()
    sink = QueuedSink(inner, "events", live=True)
    give(sink, [("start", 0), *(("frame", number) for number in range(8)), ("end", 0)])
    sink.close()
    assert written(inner)[-1] == ("end", 0)
    assert sink.health() == SinkHealth("events", 8, 0)


def test_a_sink_that_was_given_up_and_ends_after_all_has_lost_nothing(monkeypatch):
    class SlowToEnd(Recorder):
        def end(self, summary):
            self._note("end", summary)

    monkeypatch.setattr(queued, "_ENDING_SECONDS", 0.01)
    inner = SlowToEnd(hold=[("end", 0)])
    sink = QueuedSink(inner, "video", live=True)
    give(sink, [("start", 0), ("frame", 0)])
    wait_until(lambda: sink.health().written == 1)
    give(sink, [("end", 0)])
    assert inner.reached.wait(LIMIT)
    sink.close()
    late = "It did not end in time."
    assert sink.health() == SinkHealth("video", 1, 0, late, last_error=late)
    inner.released.set()
    (thread,) = inner.threads
    thread.join(LIMIT)
    assert sink.health() == SinkHealth("video", 1, 0)


def test_what_an_encoder_holds_is_not_written_yet_and_lost_if_it_is_given_up(monkeypatch):
    class Encoder(Recorder):
        pending = 0

        def frame(self, result):
            super().frame(result)
            self.pending += 1

        def end(self, summary):
            self._note("end", summary)
            self.pending = 0

    monkeypatch.setattr(queued, "_ENDING_SECONDS", 0.01)
    inner = Encoder(hold=[("end", 0)])
    sink = QueuedSink(inner, "video", live=True)
    give(sink, [("start", 0), ("frame", 0), ("frame", 1), ("tube", 0), ("end", 0)])
    assert inner.reached.wait(LIMIT)
    assert sink.health() == SinkHealth("video", 1, 0)
    sink.close()
    late = "It did not end in time."
    assert sink.health() == SinkHealth("video", 1, 2, late, last_error=late)
    inner.released.set()
    (thread,) = inner.threads
    thread.join(LIMIT)
    assert sink.health() == SinkHealth("video", 3, 0)


def test_of_a_result_that_would_have_appeared_at_the_end_all_is_lost_without_it():
    class Picture(Recorder):
        appears_at_end = True

    inner = Picture(failing=[("end", 0)])
    sink = QueuedSink(inner, "picture", live=True)
    give(sink, [("start", 0), ("frame", 0), ("frame", 1), ("end", 0)])
    sink.close()
    assert sink.health() == SinkHealth("picture", 0, 2, "no end.", last_error="no end.")


def test_a_sink_that_was_never_started_is_closed():
    inner = Recorder()
    QueuedSink(inner, "events", live=False).close()
    assert inner.calls == [("close",)]


def test_what_a_sink_loses_later_and_lacks_is_in_its_health():
    class Ailing(Recorder):
        dropped = 2
        trouble = "Nobody listens."

    with contextlib.closing(QueuedSink(Ailing(), "mqtt", live=True)) as sink:
        give(sink, [("start", 0), ("frame", 0), ("frame", 1), ("tube", 0)])
    trouble = "Nobody listens."
    assert sink.health() == SinkHealth("mqtt", 1, 2, trouble, last_error=trouble)


def test_an_error_stands_until_something_was_written_again():
    class Encoder(Recorder):
        """Takes every frame, and writes after the second and the fourth."""

        stored = 0

        def frame(self, result):
            super().frame(result)
            self.stored += result.frame.index in (2, 4)

    inner = Encoder(failing=[("frame", 3)], reopens=[True])
    sink = QueuedSink(inner, "video", live=True)
    give(sink, [("start", 0), ("frame", 2), ("frame", 3)])
    found = []
    for call in (("gap", 1), ("frame", 1), ("tube", 1), ("frame", 4)):
        give(sink, [call])
        wait_until(lambda call=call: call in inner.calls)
        wait_until(lambda: sink.health().written + sink.health().lost == 3 + len(found))
        found.append(sink.health().error)
    sink.close()
    assert found == ["no frame."] * 3 + [None]
    assert sink.health().last_error == "no frame."
