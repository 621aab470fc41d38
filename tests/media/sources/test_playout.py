"""Tests the times at which pictures of a live stream in segments are shown."""

from __future__ import annotations

import itertools

import pytest

from edgekit.media import open_source
from edgekit.media.sources._playout import Playout
from edgekit.media.sources.source import SourceOptions


def test_pictures_that_come_at_once_are_due_one_after_the_other():
    playout = Playout(25)
    # The reader waits for each picture until it is due, and a segment is there at once.
    asked, found = 100.0, []
    for number in range(50):
        now = asked + (2.0 if number == 0 else 0.001)
        found.append(playout.due(7 + number / 25, asked, now))
        assert playout.seconds == 0
        asked = found[-1]
    assert found == pytest.approx([102 + number / 25 for number in range(50)])


def test_what_the_network_brings_late_is_shown_later_with_all_after_it():
    playout = Playout(25)
    assert playout.due(0.0, 10.0, 10.0) == 10
    assert playout.due(0.04, 10.0, 13.0) == 13
    assert playout.due(0.08, 13.0, 13.001) == pytest.approx(13.04)
    assert playout.seconds == 0


def test_a_reader_that_is_too_slow_lags_behind():
    playout = Playout(25)
    due = [playout.due(number / 25, 10.0 + number, 10.0 + number) for number in range(4)]
    assert due == pytest.approx([10, 10.04, 10.08, 10.12])
    assert playout.seconds == pytest.approx(2.88)
    assert playout.behind(0.16, 13.5) == pytest.approx(3.34)
    assert playout.behind(9.0, 13.5) == 0
    playout.clear()
    assert playout.due(0.2, 13.5, 14.0) == 14


@pytest.mark.parametrize("shown", [None, -3600.0, 3600.0, 0.0, float("nan")])
def test_times_that_jump_hold_no_picture_back(shown):
    playout = Playout(25)
    playout.due(1.0, 10.0, 10.0)
    due = playout.due(shown, 10.0, 10.0)
    assert due == pytest.approx(10.04)
    assert playout.due(shown, due, due) == pytest.approx(10.08)


def test_every_picture_of_a_live_stream_in_segments_comes_at_its_time(ffmpeg, reader, served):
    encode = ("-c:v", "libx264", "-g", "25", "-sc_threshold", "0")
    video = ffmpeg(*encode, "x.ts", picture="testsrc2=size=160x120:rate=25:duration=3")
    endless = ("-hls_time", "1", "-hls_list_size", "0", "-hls_flags", "omit_endlist")
    ffmpeg("-i", video, "-c", "copy", "-f", "hls", *endless, "x.m3u8", picture=None)
    reading = SourceOptions(patience=60, catches_up=False)
    with open_source(f"{served}/x.m3u8", reading) as source:
        assert source.live
        frames = [source.read() for _ in range(60)]
    assert [frame.index for frame in frames] == list(range(60))
    assert {frame.gap for frame in frames} == {""}
    # A busy machine may only make a picture later.
    assert all(b.time - a.time > 0.039 for a, b in itertools.pairwise(frames))
