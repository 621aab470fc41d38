from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit._printable import printable
from edgekit.fleet.messages import MOST_BYTES, parse_status, shortened

STATUS = {
    "state": "online",
    "health": "ok",
    "rate": 24.9,
    "age": 31.5,
    "taken": 0.98,
    "failing": ["video"],
    "every": 10.0,
    "run": "0123456789ab",
    "source": "camera 0",
    "date": "2026-11-29T12:00:00.000+00:00",
    "dropped": {"start": 0},
    "host": "board-7",
    "edgekit": "0.1.0",
    "bundle": {"name": "korsal", "sha256": "ab" * 32},
    "target": "onnx",
    "precision": "int8",
    "runtime": "onnxruntime",
    "runtime_version": "1.23.0",
}


def test_a_status_is_read():
    found = parse_status(json.dumps(STATUS).encode())
    assert (found.state, found.rate, found.taken, found.failing) == (
        "online",
        24.9,
        0.98,
        ("video",),
    )
    assert (found.bundle.name, found.host, found.every) == ("korsal", "board-7", 10.0)


def test_a_status_of_an_earlier_edgekit_is_read():
    old = {
        "state": "offline",
        "reason": "lost",
        "run": "a",
        "source": "s",
        "date": "",
        "dropped": {},
    }
    found = parse_status(json.dumps(old).encode())
    assert (found.state, found.reason, found.rate) == ("offline", "lost", None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ON",
        b"null",
        b"[]",
        b'{"state":"online"}',
        b'{"state":"online","run":""}',
        b'{"state":"on","run":"a"}',
        b'{"state":"online","run":"a","rate":"fast"}',
        b'{"state":"online","run":"a","bundle":[]}',
        b'{"state":"online","run":"\xff"}',
        b"[" * 10_000,
        json.dumps({**STATUS, "x": "y" * MOST_BYTES}).encode(),
    ],
)
def test_what_is_no_status_is_none(payload):
    assert parse_status(payload) is None


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*STATUS, "refused", "reason"]), HOSTILE), st.data())
def test_whatever_comes_is_none_or_safe_to_show(values, data):
    values = {**STATUS, **values}
    if data.draw(st.booleans()):
        text = data.draw(st.text(st.characters(codec="utf-8"), max_size=400))
        values |= {"host": text, "refused": text, "failing": [text] * 30}
    found = parse_status(json.dumps(values).encode())
    if found is None:
        return
    texts = [found.host, found.source, found.reason, found.date, found.refused or "", found.health]
    texts += [*found.failing, found.bundle.name, found.bundle.sha256, found.run, found.runtime]
    assert all(text == printable(text) and len(text) <= 2000 for text in texts)
    assert len(found.failing) <= 20
    numbers = (found.rate, found.age, found.taken)
    assert all(number is None or (math.isfinite(number) and number >= 0) for number in numbers)
    assert 1 <= found.every <= 3600


@pytest.mark.parametrize("number", ["1e999", "-1", "1" + "0" * 400])
def test_impossible_numbers_are_left_out(number):
    text = json.dumps({**STATUS, "rate": 0.5}).replace("0.5", number)
    found = parse_status(text.encode())
    assert found is None or found.rate is None


def test_control_characters_are_escaped_and_long_text_is_cut():
    assert shortened("\x1b[2Jdoor\u202e") == "\\x1b[2Jdoor\\u202e"
    assert len(shortened("x" * 999)) == 200
