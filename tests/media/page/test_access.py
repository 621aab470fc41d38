from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.media.page.access import Door, FailureLimit, Verdict, check_token, new_token

TOKEN = "a-long-token"


def judge(door, *, peer="10.0.0.5", host="10.0.0.1:80", shown=None, cookie=None):
    return door.judge(peer=peer, host=host, shown=shown, cookie=cookie)


def test_token_and_cookie_admit():
    door = Door(TOKEN, "0.0.0.0")
    assert judge(door) is Verdict.NO_TOKEN
    assert judge(door, shown=TOKEN) is Verdict.ADMITTED
    assert judge(door, cookie=door.cookie) is Verdict.ADMITTED
    assert TOKEN not in door.cookie
    assert judge(door, shown="wrong", cookie=door.cookie) is Verdict.WRONG_TOKEN


@given(st.text().filter(lambda text: text != TOKEN))
def test_nothing_else_admits(guess):
    door = Door(TOKEN, "0.0.0.0")
    assert judge(door, shown=guess) is Verdict.WRONG_TOKEN
    assert judge(door, cookie=guess) is Verdict.WRONG_TOKEN


def test_many_guesses_are_not_even_looked_at():
    door = Door(TOKEN, "0.0.0.0")
    for number in range(10):
        assert judge(door, shown=f"guess{number}") is Verdict.WRONG_TOKEN
    assert judge(door, shown=TOKEN) is Verdict.TOO_MANY_FAILURES
    assert judge(door, cookie=door.cookie) is Verdict.TOO_MANY_FAILURES
    assert judge(door, peer="10.0.0.6", shown=TOKEN) is Verdict.ADMITTED


def test_a_page_left_open_does_not_lock_its_owner_out():
    door = Door(TOKEN, "0.0.0.0")
    for _ in range(50):
        assert judge(door, cookie="of an earlier run") is Verdict.WRONG_TOKEN
    assert judge(door, shown=TOKEN) is Verdict.ADMITTED


def test_failures_are_forgotten_after_a_minute():
    now = [0.0]
    limit = FailureLimit(lambda: now[0])
    for number in range(10):
        limit.count("::1", bytes([number]))
    assert limit.is_blocked("::1")
    assert limit.is_blocked("::2"), "one network of IPv6 counts as one peer"
    now[0] = 61.0
    assert not limit.is_blocked("::1")


def test_the_table_of_failures_does_not_grow():
    limit = FailureLimit()
    for number in range(5000):
        limit.count(f"10.0.{number // 256}.{number % 256}", b"x")
    assert len(limit._failures) == 1024


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("", False),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0:8080", False),
        ("10.0.0.1", False),
    ],
)
def test_without_a_token_only_names_of_loopback_are_ours(host, ours):
    verdict = judge(Door("", "127.0.0.1"), host=host)
    assert verdict is (Verdict.ADMITTED if ours else Verdict.UNKNOWN_NAME)


def test_with_a_token_addresses_are_ours_and_strange_names_need_it():
    door = Door(TOKEN, "cam.lan")
    assert judge(door, host="10.1.2.3:80") is Verdict.NO_TOKEN
    assert judge(door, host="cam.lan:80") is Verdict.NO_TOKEN
    assert judge(door, host="evil.example") is Verdict.UNKNOWN_NAME
    assert judge(door, host="other.lan", shown=TOKEN) is Verdict.ADMITTED


def test_health_is_for_this_machine():
    door = Door(TOKEN, "0.0.0.0")
    assert door.may_ask_health(peer="127.0.0.1", host="127.0.0.1:80")
    assert not door.may_ask_health(peer="10.0.0.5", host="127.0.0.1:80")
    assert not door.may_ask_health(peer="127.0.0.1", host="evil.example")


@pytest.mark.parametrize(
    "token", ["", "short", "with spaces in it", "umläute-sind-keine", "a\nbbbbbbbb"]
)
def test_tokens_that_cannot_be(token):
    with pytest.raises(UsageError, match="at least 8 visible ASCII"):
        check_token(token)


def test_tokens_that_are_made_can_be_and_differ():
    assert check_token(new_token()) != new_token()
