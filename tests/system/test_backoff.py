from hypothesis import given
from hypothesis import strategies as st

from edgekit.system.backoff import Backoff


@given(st.lists(st.floats(0, 100)))
def test_waits_grow_until_something_lasts_longer_than_the_wait_before_it(lasted):
    backoff = Backoff()
    for seconds in lasted:
        before = backoff.seconds
        backoff.lasted(seconds)
        backoff.grow()
        assert backoff.seconds == (1.0 if seconds > before else min(2 * before, 30.0))
        assert 0.8 * backoff.seconds <= backoff.scattered() <= 1.2 * backoff.seconds


def test_after_a_success_the_first_wait_is_short_again():
    backoff = Backoff()
    for _ in range(10):
        backoff.grow()
    assert backoff.seconds == 30.0
    backoff.reset()
    assert backoff.seconds == 0.5
