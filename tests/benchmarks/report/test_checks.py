"""Tests that reports of others with impossible or missing values are refused."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.benchmarks.report.checks import check_complete, short_notes
from edgekit.benchmarks.report.reading import read_report
from edgekit.benchmarks.report.report import Report
from edgekit.errors import BadInputError

ROUNDS = [10.0, 10.1, 10.2, 9.9, 10.05]


@pytest.fixture
def changed(make_report, tmp_path):
    """Writes a report of one row with a change; returns its path."""

    def write(change):
        report = msgspec.to_builtins(make_report({"a": ROUNDS}, accuracy={"a": 0.5}))
        change(report["rows"][0]["result"])
        path = tmp_path / "report.json"
        path.write_bytes(msgspec.json.encode(report))
        return path

    return write


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda result: result["rounds"].clear(), "has 0 rounds; expected 1 to 1000"),
        (lambda result: result.update(rounds=result["rounds"] * 300), "has 1500 rounds"),
        (lambda result: result["rounds"][0].update(p50=1e308), r"a round of 1e\+308 ms"),
        (lambda result: result["stages"]["network"].update(p50=-1.0), r"a time of -1\.0 ms"),
        (lambda result: result["overall"].update(p50=10**300), r"a time of 1e\+300 ms"),
    ],
)
def test_a_report_of_impossible_numbers_is_refused(changed, change, found):
    with pytest.raises(BadInputError, match=found):
        read_report(changed(change))


@pytest.mark.parametrize("value", [b"NaN", b"1e400", b"-Infinity", b"1" + b"0" * 400])
def test_numbers_that_are_none_are_refused(changed, value):
    path = changed(lambda result: result.update(fps=4321.5))
    path.write_bytes(path.read_bytes().replace(b"4321.5", value))
    with pytest.raises(BadInputError, match=r"report\.json is not"):
        read_report(path)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda result: result["stages"].pop("network"), "has no network"),
        (lambda result: result["paper"].pop("overall"), "has no overall"),
        (lambda result: result["paper"].update(overall=0.0), r"a time of 0\.0 ms"),
        (lambda result: result["accuracy"]["video_map"].pop("0.75"), "no video-mAP at 0.75"),
        (lambda result: result["rounds"][0].update(frame_ms=[]), "has no times of frames"),
    ],
)
def test_a_report_of_a_device_has_what_the_tables_show(changed, make_report, change, found):
    report = read_report(changed(change))
    with pytest.raises(ValueError, match=found):
        check_complete(report)
    check_complete(make_report({"a": ROUNDS}, accuracy={"a": 0.5}))


def test_rows_and_notes_without_end(make_report, tmp_path):
    report: Report = make_report({"a": ROUNDS})
    report.rows *= 1001
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(report))
    with pytest.raises(BadInputError, match="it has 1001 rows"):
        read_report(path)
    notes = short_notes(["x" * 10_000] * 10_000, "old")
    assert len(notes) == 20
    assert notes[0] == f"old: {'x' * 500}"
