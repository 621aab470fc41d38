"""The rates and trends that the table of eight mixed sources is made of."""

from __future__ import annotations

import itertools

import pytest

from edgekit.benchmarks.suites.faults._run_size import SizeSample, trends_of
from edgekit.benchmarks.suites.faults.mixed_sources import rate_of


def frame(time):
    return {"type": "frame", "time": time}


def test_an_outage_is_no_part_of_the_connected_time():
    lines = [frame(n / 5) for n in range(11)]
    lines += [{"type": "gap", "reason": "reconnect", "frames": 24}]
    lines += [frame(7 + n / 5) for n in range(11)]
    assert rate_of(lines) == (pytest.approx(5.0), 1, 24)


def test_a_frame_that_is_missing_lowers_the_rate():
    lines = [frame(n / 5) for n in range(21) if n != 7]
    lines.insert(7, {"type": "gap", "reason": "dropped", "frames": 1})
    assert rate_of(lines) == (pytest.approx(19 / 4), 0, 0)
    assert rate_of([]) == (0.0, 0, 0)


def samples(memory, threads=lambda minute: 40):
    minutes = [number / 6 for number in range(1, 361)]
    return [SizeSample(minute, (memory(minute), threads(minute), 20)) for minute in minutes]


def test_a_leak_is_distinguished_from_noise():
    noise = itertools.cycle([-30.0, 20.0, 10.0])
    flat = trends_of(samples(lambda minute: 700 + next(noise)))
    assert all(trend.is_flat for trend in flat.values())
    leak = trends_of(samples(lambda minute: 700 + minute + next(noise), lambda m: 40 + m // 20))
    assert [trend.is_flat for trend in leak.values()] == [False, False, True]
    assert leak["memory, MiB"].slope == pytest.approx(60, rel=0.05)
    assert leak["memory, MiB"].growth == pytest.approx(60, rel=0.05)
