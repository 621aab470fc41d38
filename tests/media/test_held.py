from __future__ import annotations

import threading

import pytest

from edgekit.media._held import Held, within


def test_closing_releases_once():
    released = []
    held = Held(lambda: released.append(1))
    assert held.call(lambda: 5) == 5
    held.close()
    held.close()
    assert released == [1]
    assert held.closed
    assert held.call(lambda: 5) is None


def test_closing_does_not_wait_for_a_call_and_never_releases_under_it():
    released, entered, leave = [], threading.Event(), threading.Event()
    held = Held(lambda: released.append(1))

    def hang():
        entered.set()
        leave.wait()
        assert not released

    thread = threading.Thread(target=lambda: held.call(hang))
    thread.start()
    entered.wait()
    held.close()
    assert thread.is_alive()
    assert not released
    leave.set()
    thread.join()
    assert released == [1]


def test_a_call_that_fails_lets_go_as_well():
    released = []
    held = Held(lambda: released.append(1))

    def fail():
        held.close()
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        held.call(fail)
    assert released == [1]


def test_what_is_made_in_time_is_given():
    assert within(60, lambda: 7, pytest.fail) == 7


def test_what_fails_in_time_is_raised():
    def fail():
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        within(60, fail, pytest.fail)


def test_what_comes_too_late_is_discarded():
    go, gone = threading.Event(), threading.Event()
    discarded = []

    def discard(made):
        discarded.append(made)
        gone.set()

    with pytest.raises(TimeoutError):
        within(0.01, lambda: go.wait() and 7, discard)
    assert not discarded
    go.set()
    assert gone.wait(60)
    assert discarded == [7]
