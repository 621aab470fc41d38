from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("paho.mqtt.client")

import edgekit
from edgekit.fleet.messages import parse_status
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.mqtt import _link
from edgekit.media.sinks.mqtt._link import StatusTopic
from edgekit.media.sinks.mqtt._status import RunStatus
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo
from edgekit.runtime.types import Detections, Frame

INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk",), bundle="one", bundle_sha256="11")
FACTS = {"target": "onnx", "precision": "int8", "runtime": "onnxruntime", "runtime_version": "1"}


@pytest.fixture
def health():
    return []


@pytest.fixture
def status(health):
    made = RunStatus("0123", lambda: FACTS, lambda: health)
    made.start(INFO)
    return made


def frame(index, age=20.0):
    picture = Frame(index, index / 25, np.zeros((4, 4, 3), np.uint8))
    return FrameResult(picture, Detections.empty(1), [], age=age)


def test_what_is_sent_is_what_the_fleet_reads(status):
    for index in range(4):
        status.activity.frame(frame(index, age=10.0 * index))
    status.activity.gap(Gap(5, "dropped", 4))
    status.activity.gap(Gap(9, "fps", 4))  # on purpose
    found = parse_status(status.online())
    assert (found.state, found.run, found.source, found.health) == (
        "online",
        "0123",
        "camera 0",
        "ok",
    )
    assert (found.bundle.name, found.bundle.sha256) == ("one", "11")
    assert (found.age, found.taken) == (15.0, 0.5)
    assert found.rate > 0
    assert found.edgekit == edgekit.__version__
    assert {name: getattr(found, name) for name in FACTS} == FACTS
    assert found.every == _link.STATUS_SECONDS


def test_the_will_has_all_that_does_not_change(status):
    found = json.loads(status.offline("lost"))
    assert (found["state"], found["reason"], found["bundle"]["name"]) == ("offline", "lost", "one")
    assert not {"health", "rate", "age", "taken", "failing"} & found.keys()


def test_a_file_has_no_age_and_nothing_is_known_before_the_first_frame(status):
    found = json.loads(status.online())
    assert (found["health"], found["rate"]) == ("starting", 0)
    assert not {"age", "taken", "refused"} & found.keys()


def test_news_are_a_bundle_a_refusal_a_state_and_a_failing_output(status, health):
    seen = [status.news]

    def is_news():
        seen.append(status.news)
        return seen[-1] != seen[-2]

    assert not is_news()
    status.activity.frame(frame(0))
    assert is_news()
    status.activity.frame(frame(1))
    assert not is_news()
    status.bundle(BundleChange("bad", "", 2, ("walk",), "It is broken."))
    assert is_news()
    assert json.loads(status.online())["refused"] == "It is broken."
    status.bundle(BundleChange("two", "22", 3, ("walk",)))
    assert is_news()
    assert "refused" not in json.loads(status.online())
    health.append(SinkHealth("video", 0, 1, "No space."))
    assert is_news()
    assert json.loads(status.online())["failing"] == ["video"]


def test_a_status_is_due_at_news_and_at_the_interval_but_not_more_than_once_a_second(monkeypatch):
    now, news = [100.0], [0]
    monkeypatch.setattr("edgekit.media.sinks.mqtt._link.time.monotonic", lambda: now[0])
    topic = StatusTopic("status", current=bytes, will=bytes, news=lambda: news[0])
    topic.take()
    news[0] = 1
    now[0] += 0.9
    assert not topic.is_due
    now[0] += 0.2
    assert topic.is_due
    topic.take()
    now[0] += _link.STATUS_SECONDS - 0.1
    assert not topic.is_due
    now[0] += 0.1
    assert topic.is_due


def test_names_cannot_control_the_terminal_that_shows_a_message():
    made = RunStatus("0123", lambda: FACTS, list)
    made.start(RunInfo("\x9b2J\u202ecamera", 64, 48, 25.0, None, ("walk",), bundle="\x7fone"))
    sent = made.online().decode()
    assert sent.isprintable()
    found = json.loads(sent)
    assert (found["source"], found["bundle"]["name"]) == ("\x9b2J\u202ecamera", "\x7fone")
