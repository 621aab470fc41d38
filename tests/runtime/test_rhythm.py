from __future__ import annotations

import threading
import time

from edgekit.runtime.rhythm import Rhythm


def play(rhythm: Rhythm, inferences, cascade=0.0):
    for seconds in inferences:
        rhythm.prepared(cascade)
        with rhythm.inference():
            time.sleep(seconds)


def test_takes_a_frame_at_once_while_nothing_is_known():
    rhythm = Rhythm(threading.Event())
    assert rhythm.lead() == 0
    rhythm.wait()


def test_shortest_inference_and_longest_cascade_decide():
    rhythm = Rhythm(threading.Event())
    play(rhythm, [0.08, 0.05], cascade=0.001)
    play(rhythm, [0.08], cascade=0.03)
    # Sleeping takes no less than it was asked for; the rest is left to the machine.
    assert 0.05 - 0.03 - 0.002 <= rhythm.lead() < 0.08 - 0.03


def test_an_inference_shorter_than_its_cascade_leaves_no_time():
    rhythm = Rhythm(threading.Event())
    play(rhythm, [0.0], cascade=0.03)
    assert rhythm.lead() == 0


def test_old_frames_are_forgotten():
    rhythm = Rhythm(threading.Event())
    play(rhythm, [0.0])
    assert rhythm.lead() == 0
    play(rhythm, [0.01] * 16)
    assert rhythm.lead() >= 0.01 - 0.002


def test_waits_until_the_frame_before_is_in_the_network():
    rhythm = Rhythm(threading.Event())
    play(rhythm, [0.02])
    rhythm.prepared(0.0)
    taken = threading.Event()
    thread = threading.Thread(target=lambda: (rhythm.wait(), taken.set()))
    thread.start()
    assert not taken.wait(0.1)
    with rhythm.inference():
        assert taken.wait(10)
    thread.join()


def test_stop_ends_the_waiting_for_the_frame_before():
    stop = threading.Event()
    rhythm = Rhythm(stop)
    rhythm.prepared(0.0)
    thread = threading.Thread(target=rhythm.wait)
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_stop_ends_the_waiting_for_the_right_time():
    stop = threading.Event()
    rhythm = Rhythm(stop)
    rhythm._inferences.append(1000.0)
    rhythm.prepared(0.0)
    thread = threading.Thread(target=rhythm.wait)
    with rhythm.inference():
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
