"""Tests that health, metrics, log and report agree about every loss."""

from __future__ import annotations

import re

import pytest

from edgekit.benchmarks.suites.faults.fault_words import play
from edgekit.errors import MissingDependencyError

pytest.importorskip("aiohttp")
pytest.importorskip("prometheus_client")
pytest.importorskip("paho.mqtt")

pytestmark = pytest.mark.long

TOLD = {
    "the source is away": (
        "^lost, source lost",
        "source_up 0",
        "is lost and will be opened again",
        "was not reachable when the run ended. It gave no picture in the last",
    ),
    "the events file cannot be written": (
        "^degraded.*events: [1-9][0-9]* lost, events: error",
        'output_lost_total{output="events"}.*output_up{output="events"} 0',
        "was moved or removed",
        "frames, gaps and tubes were lost. Cannot write .*: Is a directory",
    ),
    "the broker forbids the topic": (
        "^degraded.*mqtt: [1-9][0-9]* lost, mqtt: error",
        'output_lost_total{output="mqtt"}.*output_up{output="mqtt"} 0',
        "refuses nowhere/tube/.*: Not authorized",
        "mqtt: [1-9][0-9]* of [0-9]+ frames, gaps and tubes were lost. .*Not authorized",
    ),
    "a queue is full": (
        "^degraded.*events: [1-9][0-9]* lost, events: error",
        'output_lost_total{output="events"}.*output_up{output="events"} 0',
        "events is slower than the source",
        "events: [1-9][0-9]* of [0-9]+ frames, gaps and tubes were lost. It is slower",
    ),
    "a clip is lost": (
        "^degraded.*clips: [1-9][0-9]* lost, clips: error",
        'output_lost_total{output="clips"}.*output_up{output="clips"} 0',
        "^clips: .* The run goes on without it",
        "clips: [1-9][0-9]* of [0-9]+ frames, gaps and tubes were lost",
    ),
}


@pytest.mark.parametrize("fault", TOLD)
def test_each_place_reports_a_fault(spot_bundle, spot_images, tmp_path, fault):
    options = ("--bundle", str(spot_bundle))
    try:
        said = play(fault, tmp_path, spot_images(60), *options)
    except MissingDependencyError as error:
        pytest.skip(error.message)
    for place, pattern in zip(said[:4], TOLD[fault], strict=True):
        assert re.search(pattern, place, re.S)
    assert said.status == 3
