from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.media.serving.access import (
    Door,
    FailureLimit,
    Verdict,
    check_token,
    network_of,
    new_token,
)
from edgekit.media.serving.origin import parse_origin

TOKEN = "a-long-token"


def judge(door, *, peer="10.0.0.5", host="10.0.0.1:80", shown=None, cookie=None):
    return door.check(peer=peer, host=host, shown=shown, cookie=cookie)


def may_ask_health(door, remote, host, *, forwarded=False):
    return door.may_ask_health(remote=remote, forwarded=forwarded, host=host)


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2"),
        ("64:ff9b::10.0.0.1", "64:ff9b::10.0.0.2"),
        ("10.0.0.1", "10.0.0.2"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
        ("::ffff:10.0.0.1", "fe80::1%eth0"),
    ],
)
def test_a_peer_that_guesses_shuts_out_nobody_else(one, other):
    door = Door(TOKEN, "::")
    for number in range(10):
        judge(door, peer=one, shown=f"guess{number}")
    assert judge(door, peer=one, shown=TOKEN) is Verdict.TOO_MANY_FAILURES
    assert judge(door, peer=other, shown=TOKEN) is Verdict.ADMITTED


def test_one_address_is_one_peer_in_both_its_forms():
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1")


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
    assert may_ask_health(door, "127.0.0.1", "127.0.0.1:80")
    assert not may_ask_health(door, "10.0.0.5", "127.0.0.1:80")
    assert not may_ask_health(door, "127.0.0.1", "evil.example")


@pytest.mark.parametrize(
    "token", ["", "short", "with spaces in it", "umläute-sind-keine", "a\nbbbbbbbb"]
)
def test_tokens_that_cannot_be(token):
    with pytest.raises(UsageError, match="at least 8 visible ASCII"):
        check_token(token)


def test_tokens_that_are_made_can_be_and_differ():
    assert check_token(new_token()) != new_token()


PUBLIC = [parse_origin("https://cam.example.com"), parse_origin("http://cam.lan:8080")]


@pytest.mark.parametrize("host", ["cam.example.com", "CAM.example.com", "cam.example.com:443"])
def test_the_name_of_a_proxy_is_ours(host):
    door = Door(TOKEN, "127.0.0.1", PUBLIC)
    assert judge(door, host=host) is Verdict.NO_TOKEN
    assert judge(door, host=host, shown=TOKEN) is Verdict.ADMITTED
    assert judge(door, host="other.example.com") is Verdict.UNKNOWN_NAME
    assert judge(Door(TOKEN, "127.0.0.1"), host=host) is Verdict.UNKNOWN_NAME


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        (None, "127.0.0.1:8080", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("https://cam.example.com", "cam.example.com", True),
        ("https://cam.example.com", "127.0.0.1:8080", True),
        ("http://cam.lan:8080", "127.0.0.1:8080", True),
        ("http://cam.lan", "127.0.0.1:8080", False),
        ("http://cam.example.com", "127.0.0.1:8080", False),
        ("https://cam.example.com:8443", "127.0.0.1:8080", False),
        ("https://cam.example.com.evil.example", "127.0.0.1:8080", False),
        ("https://evil.example", "cam.example.com", False),
        ("null", "cam.example.com", False),
        ("", "cam.example.com", False),
    ],
)
def test_only_the_page_itself_opens_a_socket(origin, host, ours):
    assert Door(TOKEN, "127.0.0.1", PUBLIC).is_from_the_page(origin, host) is ours


def test_what_comes_through_a_proxy_may_not_ask_health_without_a_token():
    door = Door(TOKEN, "127.0.0.1", PUBLIC)
    assert may_ask_health(door, "127.0.0.1", "127.0.0.1:8080")
    assert not may_ask_health(door, "127.0.0.1", "cam.example.com")
    assert not may_ask_health(door, "192.0.2.7", "127.0.0.1:8080")
    assert not may_ask_health(door, "127.0.0.1", "127.0.0.1:8080", forwarded=True)


def test_a_cookie_is_secure_where_the_proxy_has_tls():
    door = Door(TOKEN, "127.0.0.1", PUBLIC)
    assert door.is_secure("Cam.Example.com")
    assert not door.is_secure("cam.lan:8080")
    assert not door.is_secure("127.0.0.1:8080")
