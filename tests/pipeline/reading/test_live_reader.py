from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from edgekit.errors import MediaError
from edgekit.media.sources.video._shown_pictures import KEY_FRAME
from edgekit.pipeline.reading import _reader_thread, live_reader
from edgekit.pipeline.reading._reader_thread import ReaderThread
from edgekit.pipeline.reading.live_reader import LiveReader
from edgekit.pipeline.reading.sampling import FrameRateCap, Sampling
from edgekit.runtime.types import Frame
from edgekit.system import backoff
from tests.waiting import LIMIT, wait_until

SMALL, LARGE = (4, 6), (8, 6)
GONE = MediaError("The cable is out.")
LOST = "lost"


class Clock:
    """Stands in for the module ``time``: its time passes only where a test says so."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    for module in (live_reader, _reader_thread):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(backoff, "_FIRST", 0.001)
    monkeypatch.setattr(live_reader, "_POLL", 0.005)
    return clock


class Camera:
    """Plays a list of connections.

    A connection is a list of sizes of frames, of errors to raise, of ``None`` for the end, of
    ``LOST`` for a small frame after one that was lost, and of events to wait for; or an error that
    opening raises, at once or after an event. A connection with nothing more to play waits for the
    end of the test. A connection that is a tuple is of a recording, which does not reopen.
    """

    name, width, height, fps, frames, live_reader, reopens = "camera", 6, 4, 25.0, None, True, True

    def __init__(self, *connections, over=None, opened=None):
        first, *self._later = connections
        self._script = list(first)
        self._over = over or threading.Event()
        self.opened = [self] if opened is None else opened
        self.position = 0
        self.closed = 0
        self.blocked = threading.Event()  # in an opening or a read

    def _wait(self, event):
        self.blocked.set()
        assert event.wait(LIMIT)

    def reopened(self):
        script = self._later.pop(0)
        if isinstance(script, threading.Event):
            self._wait(script)
            script = GONE
        if isinstance(script, Exception):
            raise script
        camera = Camera(script, over=self._over, opened=self.opened)
        camera.reopens = not isinstance(script, tuple)
        self.opened.append(camera)
        return camera

    def read(self):
        while self._script and isinstance(self._script[0], threading.Event):
            self._wait(self._script.pop(0))
        if not self._script:
            self._wait(self._over)
            return None
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        gap, step = ("dropped", SMALL) if step == LOST else ("", step)
        self.position += 2 if gap else 1
        image = np.full((*step, 3), len(self.opened), np.uint8)
        return Frame(self.position - 1, 7 + self.position / self.fps, image, gap)

    def close(self):
        self.closed += 1


@pytest.fixture
def play():
    """Makes a reader of a camera that keeps all frames, and ends both after the test."""
    stop, over, readers = threading.Event(), threading.Event(), []

    def make(*connections, newest=False, reopens=True, **options):
        camera = Camera(*connections, over=over)
        camera.reopens = reopens
        readers.append(LiveReader(camera, stop, newest=newest, **options))
        return camera, readers[-1]

    yield make
    over.set()
    for reader in readers:
        reader.close()
        assert reader.next() is None


def take(reader, count):
    found = [reader.next() for _ in range(count)]
    return [paired.frame for paired in found]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (GONE, "The cable is out."),
        (None, "It ended."),
        (LARGE, "Its pictures are of 6x8 pixels now."),
    ],
)
def test_a_source_that_fails_is_opened_anew(play, caplog, failure, reason):
    camera, reader = play([SMALL, SMALL, failure], MediaError("not yet"), [LARGE] * 3)
    frames = take(reader, 5)
    assert [frame.gap for frame in frames] == ["", "", "reconnect", "", ""]
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 1, 2, 2, 2]
    assert [camera.closed for camera in camera.opened] == [1, 0]
    assert reader.health().connected
    assert (reader.health().reconnects, reader.health().error) == (1, None)
    assert f"camera is lost and will be opened again. {reason}" in caplog.text
    assert "camera is back after" in caplog.text
    assert "not yet" not in caplog.text


def test_indices_and_times_go_on_after_an_outage(play, clock):
    back = threading.Event()
    _, reader = play([SMALL] * 3 + [None], [back, *[SMALL] * 4])
    frames = take(reader, 3)
    clock.now += 10.0
    back.set()
    frames += take(reader, 4)
    # 10 seconds at 25 frames a second, the frame itself is not lost.
    assert [frame.index for frame in frames] == [0, 1, 2, 252, 253, 254, 255]
    steps = np.diff([frame.time for frame in frames])
    assert steps == pytest.approx([1 / 25, 1 / 25, 10, 1 / 25, 1 / 25, 1 / 25])
    assert reader.position == 256


def test_a_source_that_comes_late_begins_at_the_time_that_has_passed(play, clock, caplog):
    there = threading.Event()
    _, reader = play([GONE], [there, *[SMALL] * 2])
    clock.now += 10.0
    there.set()
    frames = take(reader, 2)
    assert [frame.index for frame in frames] == [249, 250]
    assert [frame.time for frame in frames] == pytest.approx([10, 10 + 1 / 25])
    assert "camera is not there and will be opened again. The cable is out." in caplog.text
    assert "camera is there after 10.0 seconds." in caplog.text


def test_a_reader_that_is_stuck_is_left_behind(play, clock, caplog):
    stuck = threading.Event()
    camera, reader = play([SMALL, stuck, SMALL], [SMALL] * 2, patience=2.5)
    frames = take(reader, 1)
    assert camera.blocked.wait(LIMIT)
    clock.now += 2.5
    with reader._changed:
        reader._watch()
    assert not reader._left
    clock.now += 0.1
    frames += take(reader, 2)
    assert [frame.gap for frame in frames] == ["", "reconnect", ""]
    assert "It gave no frame for 2.5 seconds." in caplog.text
    first, second = camera.opened
    assert (first.closed, second.closed) == (0, 0)
    stuck.set()
    wait_until(lambda: first.closed)
    assert first.closed == 1
    assert first.position == 2  # it was read, and came too late for anybody
    assert reader.health().reconnects == 1


def test_a_picture_in_place_of_a_stream_is_no_reconnect_and_the_stream_comes_back(play, caplog):
    camera, reader = play([SMALL, None], (LARGE, None), (LARGE, None), [SMALL] * 2)
    found = take(reader, 3)
    assert [frame.gap for frame in found] == ["", "reconnect", ""]
    assert {frame.image.shape[:2] for frame in found} == {SMALL}
    assert [opened.closed for opened in camera.opened] == [1, 1, 1, 0]
    assert reader.health().reconnects == 1


def test_stuck_readers_do_not_pile_up(play, clock, monkeypatch):
    monkeypatch.setattr(live_reader, "_MOST_LEFT", 2)
    stuck = threading.Event()
    before = set(threading.enumerate())
    camera, reader = play([SMALL], *[[stuck, GONE]] * 9, [SMALL], patience=1)
    take(reader, 1)
    waiter = threading.Thread(target=reader.next)
    waiter.start()
    for opened in (1, 2, 3):
        wait_until(lambda opened=opened: len(camera.opened) == opened)
        assert camera.opened[-1].blocked.wait(LIMIT)
        clock.now += 1.1
    time.sleep(0.1)  # in which another could be opened
    assert len(camera.opened) == 3
    assert len(set(threading.enumerate()) - before) == 3 + 1
    stuck.set()
    waiter.join(LIMIT)
    assert len(camera.opened) == 11


def test_waits_grow_and_begin_anew_after_a_good_while(clock, monkeypatch):
    waits = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return super().wait(0)

    monkeypatch.setattr(backoff, "_FIRST", 0.5)
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: 1.0)
    later = threading.Event()
    over = threading.Event()
    camera = Camera([SMALL, None], *[GONE] * 8, [SMALL, later, None], [SMALL], over=over)
    reader = LiveReader(camera, Stop(), newest=False)
    take(reader, 2)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    clock.now += 31
    later.set()
    take(reader, 1)
    assert waits[9:] == [0.5]
    over.set()
    reader.close()


def test_a_source_that_cannot_be_opened_anew_ends_or_raises(play):
    camera, reader = play([SMALL, None], reopens=False)
    assert len(take(reader, 1)) == 1
    assert reader.next() is None
    camera, reader = play([SMALL, LARGE, GONE], patience=0.001, reopens=False)
    assert [frame.gap for frame in take(reader, 2)] == ["", ""]
    with pytest.raises(MediaError, match="cable"):
        reader.next()
    assert camera.closed == 0


def test_an_error_that_no_opening_repairs_is_raised(play):
    _, reader = play([SMALL, ValueError("bug")])
    take(reader, 1)
    with pytest.raises(ValueError, match="bug"):
        reader.next()
    _, reader = play([SMALL, None], ValueError("bug"))
    take(reader, 1)
    with pytest.raises(ValueError, match="bug"):
        reader.next()


def test_the_newest_frame_keeps_the_gaps_of_those_that_nobody_took(play):
    camera, reader = play([None], [SMALL] * 5, newest=True)
    wait_until(lambda: len(camera.opened) == 2)
    assert camera.opened[-1].blocked.wait(LIMIT)
    (frame,) = take(reader, 1)
    assert frame.gap == "reconnect"
    assert camera.opened[-1].position == 5
    assert reader.position == frame.index + 1


def test_a_loss_does_not_hide_the_reconnect_before_a_frame_that_nobody_took(play):
    camera, reader = play([None], [SMALL, SMALL, LOST], newest=True)
    wait_until(lambda: len(camera.opened) == 2)
    assert camera.opened[-1].blocked.wait(LIMIT)
    (frame,) = take(reader, 1)
    assert frame.gap == "reconnect"
    assert camera.opened[-1].position == 4


@pytest.mark.parametrize("script", [[SMALL, None], [SMALL]])
def test_a_stop_ends_a_wait_and_a_read_that_blocks(play, monkeypatch, script):
    monkeypatch.setattr(backoff, "_FIRST", 1e6)
    monkeypatch.setattr(live_reader, "_LEAVING", 0.01)
    _, reader = play(script)
    take(reader, 1)
    closing = threading.Thread(target=reader.close, daemon=True)
    closing.start()
    closing.join(LIMIT)
    assert not closing.is_alive()
    assert reader.next() is None


def test_a_run_of_some_seconds_ends_in_an_outage_too(play, clock, monkeypatch):
    monkeypatch.setattr(backoff, "_FIRST", 1e6)
    _, reader = play([SMALL, None], duration=12)
    take(reader, 1)
    wait_until(lambda: not reader.health().connected)
    clock.now += 5
    assert reader.next() is None
    assert reader.away == "It gave no picture in the last 5.0 seconds of the run. It ended."


def test_an_opening_that_never_returns_is_left_too(play, clock):
    stuck = threading.Event()
    camera, reader = play([SMALL, None], stuck, [SMALL], patience=1)
    assert [frame.gap for frame in take(reader, 1)] == [""]
    assert camera.blocked.wait(LIMIT)
    clock.now += 2 + _reader_thread._FIRST_PICTURE
    assert [frame.gap for frame in take(reader, 1)] == ["reconnect"]
    stuck.set()


@pytest.mark.parametrize("patience", [10, 60])
def test_an_opening_has_the_time_that_a_stream_needs_to_connect_and_for_a_key_frame(
    play, clock, patience
):
    slow = threading.Event()
    camera, reader = play([SMALL, None], slow, [SMALL], patience=patience)
    assert len(take(reader, 1)) == 1
    assert camera.blocked.wait(LIMIT)
    clock.now += patience + max(patience, KEY_FRAME)
    with reader._changed:
        reader._watch()
    assert not reader._left
    slow.set()


def test_a_cap_never_hides_a_reconnect_and_waits_for_nobody(play):
    sampling = Sampling(FrameRateCap(5))
    camera, reader = play([SMALL] * 7 + [GONE], [SMALL] * 7, sampling=sampling)
    assert reader.next().frame.index == 0
    paired = reader.next()
    assert (paired.frame.index, paired.skipped) == (5, {"fps": 4})
    paired = reader.next()
    assert (paired.frame.gap, paired.skipped) == ("reconnect", {"fps": 1})
    assert len(camera.opened) == 2


def test_the_end_waits_for_the_reading_thread_for_a_moment(play, monkeypatch):
    waits = []
    monkeypatch.setattr(ReaderThread, "join", lambda thread, seconds: waits.append(seconds))
    reader = play([SMALL])[1]
    reader.close()
    assert 0.1 <= waits[0] <= 1


STUCK = """
import threading
from types import SimpleNamespace
from edgekit.pipeline.reading.live_reader import LiveReader

forever, reading = threading.Event(), threading.Event()
camera = SimpleNamespace(
    read=lambda: (reading.set(), forever.wait()), name="camera", fps=25.0, reopens=True
)
reader = LiveReader(camera, threading.Event())
reading.wait()
reader.close()
print("closed")
"""


def test_a_program_ends_while_a_camera_is_stuck():
    done = subprocess.run(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, timeout=LIMIT, check=True
    )
    assert done.stdout == b"closed\n"
