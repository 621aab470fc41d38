"""Tests what is reported of a sink's problems."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import msgspec

from edgekit.errors import OutputError
from edgekit.media.sinks import health
from edgekit.media.sinks.health import HealthRecord


def test_the_name_of_a_file_that_is_not_utf_8_can_be_reported_as_json():
    record = HealthRecord("events")
    record.failed(OutputError("Cannot write \udcff.jsonl: the disk is full."), None)
    expected = b"Cannot write \\\\udcff.jsonl: the disk is full."
    assert expected in msgspec.json.encode(record.health(0, 0, None, None))
    record.recovered(None)
    assert b"It lacks \\\\udcfe." in msgspec.json.encode(
        record.health(0, 0, "It lacks \udcfe.", None)
    )


def test_each_outage_is_a_warning_with_its_end_and_one_of_days_is_no_flood(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now[0]))
    record = HealthRecord("events")

    def fail(times):
        for _ in range(times):
            record.log(OutputError("The disk is full."))
            record.failed(OutputError("The disk is full."), None)
            record.log_recovery()
            now[0] += 30

    caplog.set_level(logging.WARNING, "edgekit")
    fail(2880)
    for _ in range(9):
        record.recovered(None)
        record.log_recovery()
    broken, again = (
        "events: The disk is full. The run goes on without it.",
        "events: It works again.",
    )
    assert caplog.messages == [broken, again]
    now[0] += 60  # a disk that is full again and again
    fail(1)
    record.recovered(None)
    record.log_recovery()
    assert caplog.messages == [broken, again]
    now[0] += 3600
    fail(2)
    record.recovered(None)
    record.log_recovery()
    assert caplog.messages == 2 * [broken, again]
