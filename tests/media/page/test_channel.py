"""Tests what the live page and health checks report of a run."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from edgekit.media.page.channel import Channel
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary, SourceHealth
from edgekit.runtime.types import Detections, Frame

EMPTY = Detections.empty(2)
INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk", "run"))


def channel_of(now, info=INFO):
    channel = Channel(clock=lambda: now[0])
    channel.start(info)
    frame = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))
    channel.frame(FrameResult(frame, EMPTY, []))
    return channel


@pytest.mark.parametrize(("step", "patience"), [(0.0, 5.0), (3.0, 8.0), (60.0, 65.0)])
def test_a_source_is_stalled_when_no_frame_comes_that_should(step, patience):
    now = [100.0]
    channel = channel_of(now, replace(INFO, longest_step=step))
    now[0] += patience - 0.1
    assert channel.health()["status"] == "ok"
    now[0] += 0.2
    assert channel.health()["status"] == "stalled"


@pytest.mark.parametrize(
    ("error", "status", "ended"),
    [(None, "ended", "over"), ("The disk is gone.",) + 2 * ("failed",)],
)
def test_a_source_that_an_error_ended_is_not_like_one_that_has_ended(error, status, ended):
    channel = channel_of([100.0])
    channel.end(RunSummary(1, 0, 1.0, {}, error=error))
    channel.close()
    state = channel.state()
    assert (state["status"], state["ended"], state["error"]) == (status, ended, error)


def test_the_run_does_not_wait_for_outputs_that_take_long_to_tell_their_health():
    asked, told = threading.Event(), threading.Event()

    def sinks():
        asked.set()
        told.wait()
        return []

    channel = Channel(sinks)
    channel.start(INFO)
    asking = threading.Thread(target=channel.state)
    asking.start()
    assert asked.wait(60)
    frame = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))
    running = threading.Thread(target=channel.frame, args=(FrameResult(frame, EMPTY, []),))
    running.start()
    running.join(60)
    shown = channel.newest
    told.set()
    asking.join()
    running.join()
    assert shown is not None


def test_what_is_left_out_on_purpose_is_no_break():
    channel = channel_of([0.0])
    for reason, frames in (("fps", 4), ("still", 70), ("dropped", 2)):
        channel.gap(Gap(80, reason, frames))
    health = channel.health()
    assert (health["dropped"], health["gaps"]) == (2, {"dropped": 1})


def test_another_bundle_is_shown_and_a_refused_one_is_reported():
    channel = channel_of([0.0], replace(INFO, bundle="one", bundle_sha256="11"))
    running = {"name": "one", "sha256": "11"}
    assert channel.health()["bundle"] == {**running, "refused": None}
    channel.bundle(BundleChange("bad", "", 1, INFO.classes, "It is broken."))
    assert channel.health()["bundle"] == {**running, "refused": "It is broken."}
    assert channel.hellos == 1
    channel.bundle(BundleChange("two", "22", 2, ("jump",)))
    assert channel.health()["bundle"] == {"name": "two", "sha256": "22", "refused": None}
    # Viewers get the new classes before the next frame.
    assert channel.hellos == 2
    assert channel.hello()["classes"] == ("jump",)
    assert len(channel.hello()["colours"]) == 1


def test_viewers_get_the_rate_of_a_source_that_appears_later():
    health = [SourceHealth(False, error="It is not there.")]
    channel = Channel()
    channel.start(replace(INFO, width=0, height=0, longest_step=3.0, health=lambda: health[0]))
    assert (channel.hello()["fps"], channel.hello()["step"], channel.hellos) == (25.0, 3.0, 1)
    health[0] = SourceHealth(reconnects=1, fps=10.0)
    for index in (20, 90):  # the second time at the same rate
        channel.gap(Gap(index, "reconnect", 20))
        assert (channel.hello()["fps"], channel.hellos) == (10.0, 2)
