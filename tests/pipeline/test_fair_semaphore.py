from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.pipeline.fair_semaphore import FairSemaphore
from tests.waiting import LIMIT, wait_until


@settings(max_examples=20, deadline=None)
@given(threads=st.integers(1, 8), rounds=st.integers(1, 5))
def test_turns_go_round_in_the_order_of_asking(threads, rounds):
    semaphore = FairSemaphore()
    turns = []

    def ask(own):
        for turn in range(rounds):
            with semaphore:
                turns.append(own)
                # The others have asked by now, as many as will ask again.
                others = threads - 1 if turn < rounds - 1 else threads - 1 - own
                wait_until(lambda others=others: semaphore.waiting == others)

    asking = [threading.Thread(target=ask, args=(own,)) for own in range(threads)]
    with semaphore:
        for place, thread in enumerate(asking, 1):
            thread.start()
            wait_until(lambda place=place: semaphore.waiting == place)
    for thread in asking:
        thread.join(LIMIT)
    assert turns == [*range(threads)] * rounds
    assert semaphore.waiting == 0


@pytest.mark.parametrize("places", [1, 3])
def test_so_many_at_a_time(places):
    semaphore, inside, most = FairSemaphore(places), [], []
    full = threading.Barrier(places)

    def work():
        for turn in range(300):
            with semaphore:
                inside.append(1)
                most.append(len(inside))
                if turn == 0:
                    full.wait(LIMIT)  # all places can be taken at once
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(most) == 1800
    assert max(most) == places


def test_an_error_gives_the_turn_back():
    semaphore = FairSemaphore()
    with pytest.raises(ZeroDivisionError), semaphore:
        raise ZeroDivisionError
    with semaphore:
        assert semaphore.waiting == 0
