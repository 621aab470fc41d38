"""Tests the suite ``stream_faults`` with one kill, and its check of events."""

from __future__ import annotations

import pytest

from edgekit.benchmarks.suites.faults.stream_faults import play, problems_of
from edgekit.errors import MissingDependencyError

START, END = {"type": "start"}, {"type": "end"}


def frame(index):
    return {"type": "frame", "index": index, "time": float(index)}


def gap(index, frames):
    return {"type": "gap", "index": index, "frames": frames, "reason": "reconnect"}


def test_a_run_outlives_its_server():
    try:
        found = play("killed and restarted", 1, "--patience", "60", calm=0.1)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert found.problems == []
    assert found.reconnects == 1
    assert found.frames >= 30


def test_events_that_keep_their_promise():
    assert problems_of([START, frame(0), gap(5, 4), frame(5), frame(6), END]) == []
    both = [START, frame(0), gap(5, 3), gap(5, 1), frame(5), gap(8, 2), END]
    assert problems_of(both) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([START, frame(0)], "one end"),
        ([START, frame(0), frame(2), END], "where 1 was expected"),
        ([START, frame(0), gap(5, 3), frame(5), END], "counts 3"),
        ([START, frame(0), gap(5, 3), gap(5, 2), frame(5), END], "counts 5"),
        ([START, frame(0), gap(5, 3), END], "counts 3"),
        ([START, frame(0), frame(0), END], "runs back"),
    ],
)
def test_events_that_break_it(lines, words):
    assert words in " ".join(problems_of(lines))
