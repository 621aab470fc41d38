from __future__ import annotations

import contextlib
import re
import socket
import sys
import urllib.request

import numpy as np
import pytest

from edgekit.errors import MissingDependencyError, OutputError, UsageError
from edgekit.linking.published import LiveTube
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.prometheus import Metrics
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame, Tube
from edgekit.system.installation import install_line

INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk", "run"))
HEALTH = [SinkHealth("events", 30, 2), SinkHealth("mqtt", 7, 0, "No connection.")]


@pytest.fixture
def metrics():
    pytest.importorskip("prometheus_client")
    return Metrics("0")


@pytest.fixture
def sink(metrics):
    with contextlib.closing(metrics.sink(lambda: HEALTH)) as made:
        yield made


def scrape(metrics):
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=120) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def test_a_run_is_counted(metrics, sink):
    sink.start(INFO)
    image = np.zeros((48, 64, 3), np.uint8)
    tubes = [LiveTube(k, 1, 0.8, [1.0, 2.0, 3.0, 4.0], 0, 0, 9) for k in range(3)]
    for index in range(4):
        frame = Frame(index, index / 25, image)
        times = {"network": 12.0, "link": 0.4}
        shown = tubes[index:]
        sink.frame(FrameResult(frame, Detections.empty(2), shown, times, age=30.0))
    sink.gap(Gap(9, "reconnect", 5))
    sink.gap(Gap(20, "fps", 7))
    sink.tube(Tube(0, 1, 0.8, 0, 0, np.zeros((1, 4)), np.ones(1), np.ones(1, bool)))
    found = scrape(metrics)
    expected = {
        "edgekit_frames_total": 4,
        "edgekit_frames_dropped_total": 5,
        'edgekit_frames_skipped_total{reason="fps"}': 7,
        'edgekit_frames_skipped_total{reason="still"}': 0,
        'edgekit_gaps_total{reason="fps"}': None,
        'edgekit_gaps_total{reason="reconnect"}': 1,
        'edgekit_gaps_total{reason="dropped"}': 0,
        'edgekit_tubes_live{class="run"}': 0,
        'edgekit_tubes_live{class="walk"}': 0,
        'edgekit_tubes_closed_total{class="run"}': 1,
        'edgekit_stage_seconds_count{stage="network"}': 4,
        'edgekit_stage_seconds_bucket{le="0.01",stage="network"}': 0,
        'edgekit_stage_seconds_bucket{le="0.02",stage="network"}': 4,
        "edgekit_frame_age_seconds_sum": pytest.approx(0.12),
        'edgekit_output_lost_total{output="events"}': 2,
        'edgekit_output_written_total{output="mqtt"}': 7,
        'edgekit_output_up{output="events"}': 1,
        'edgekit_output_up{output="mqtt"}': 0,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_several_sources_have_one_port_and_a_label_each():
    pytest.importorskip("prometheus_client")
    metrics = Metrics("0", several=True)
    sinks = [metrics.sink(lambda: HEALTH[:1]), metrics.sink(lambda: HEALTH[1:])]
    for sink in sinks:
        sink.start(INFO)
    sinks[0].gap(Gap(9, "reconnect", 5))
    sinks[0].close()
    found = scrape(metrics)
    expected = {
        'edgekit_frames_total{source="0"}': 0,
        'edgekit_frames_dropped_total{source="0"}': 5,
        'edgekit_frames_dropped_total{source="1"}': 0,
        'edgekit_gaps_total{reason="reconnect",source="0"}': 1,
        'edgekit_output_written_total{output="events",source="0"}': 30,
        'edgekit_output_written_total{output="mqtt",source="1"}': 7,
    }
    assert {name: found.get(name) for name in expected} == expected
    port = metrics.port
    sinks[1].close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_what_an_output_wrote_never_falls(metrics):
    written = iter((30, 28, 31))
    with contextlib.closing(metrics.sink(lambda: [SinkHealth("mqtt", next(written), 2)])) as sink:
        sink.start(INFO)
        name = 'edgekit_output_written_total{output="mqtt"}'
        assert [scrape(metrics)[name] for _ in range(3)] == [30, 30, 31]


def test_a_source_that_has_ended_gives_no_frames_while_others_do():
    pytest.importorskip("prometheus_client")
    metrics = Metrics("0", several=True)
    with contextlib.ExitStack() as stack:
        ended, other = (
            stack.enter_context(contextlib.closing(metrics.sink(list))) for _ in range(2)
        )
        tube = LiveTube(0, 1, 0.8, [1.0, 2.0, 3.0, 4.0], 0, 0, 9)
        frame = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))
        for sink in (ended, other):
            sink.start(INFO)
            sink.frame(FrameResult(frame, Detections.empty(2), [tube]))
        ended.end(RunSummary(1, 0, 1.0, {}))
        ended.close()
        found = scrape(metrics)
    for source, value in (("0", 0), ("1", 1)):
        assert found[f'edgekit_source_up{{source="{source}"}}'] == value
        assert found[f'edgekit_tubes_live{{class="run",source="{source}"}}'] == value


def test_nobody_listens_after_the_end(metrics, sink):
    sink.start(INFO)
    port = metrics.port
    sink.close()
    sink.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_said(metrics, sink):
    sink.start(INFO)
    other = Metrics(f"127.0.0.1:{metrics.port}").sink(list)
    with pytest.raises(OutputError, match="another program has that port") as caught:
        other.start(INFO)
    port = metrics.port % 65535 + 1
    assert caught.value.hint == f"Choose another port: metrics='127.0.0.1:{port}'."
    other.close()


def test_an_address_that_is_none_is_wrong_usage():
    with pytest.raises(UsageError, match="metrics is"):
        Metrics("here")


def test_without_the_extra_its_pip_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingDependencyError, match=re.escape(install_line("metrics"))):
        Metrics("0")


def test_the_bundle_that_runs_and_the_outcomes_of_others_are_reported(metrics, sink):
    sink.start(RunInfo("x", 1, 1, 25.0, None, ("walk",), bundle="one", bundle_sha256="11"))
    found = scrape(metrics)
    assert found['edgekit_bundle_info{name="one",sha256="11"}'] == 1
    assert found['edgekit_bundle_changes_total{outcome="refused"}'] == 0
    tube = LiveTube(0, 0, 0.8, [1.0, 2.0, 3.0, 4.0], 0, 0, 9)
    frame = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))
    sink.frame(FrameResult(frame, Detections.empty(1), [tube]))
    sink.bundle(BundleChange("bad\n", "", 1, ("walk",), "It is broken."))
    sink.bundle(BundleChange("two", "22", 2, ("run", "jump")))
    found = scrape(metrics)
    assert found['edgekit_bundle_info{name="two",sha256="22"}'] == 1
    assert 'edgekit_bundle_info{name="one",sha256="11"}' not in found
    assert found['edgekit_bundle_changes_total{outcome="refused"}'] == 1
    assert found['edgekit_bundle_changes_total{outcome="running"}'] == 1
    assert found['edgekit_tubes_live{class="walk"}'] == 0
    assert found['edgekit_tubes_live{class="jump"}'] == 0
