"""Tests what is reported of a sink's problems."""

from __future__ import annotations

import msgspec

from edgekit.errors import OutputError
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
