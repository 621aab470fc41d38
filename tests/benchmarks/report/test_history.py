from __future__ import annotations

import msgspec

from edgekit.benchmarks.report.history import keep_report, read_history, trends
from edgekit.benchmarks.report.page import to_html


def test_reports_gather_and_come_back_in_order(make_report, tmp_path):
    folder = tmp_path / "history"
    made = []
    for day, time in ((2, 20.0), (1, 10.0), (3, 5.0)):
        report = make_report({"a": [time] * 4})
        report.created = f"2026-01-0{day}T00:00:00+00:00"
        made.append(report)
        keep_report(report, folder)
    assert len(list(folder.iterdir())) == 3
    history = read_history(folder, made[-1])
    assert trends(history, made[-1]) == {
        "1": [
            (report.created, report.rows[0].result.overall.p50)
            for report in (made[1], made[0], made[2])
        ]
    }
    text = to_html(made[-1], history)
    assert "run after run" in text
    assert text.count("<circle") == 3


def test_two_reports_of_one_moment_are_both_kept(make_report, tmp_path):
    report = make_report({"a": [1.0]})
    assert keep_report(report, tmp_path) != keep_report(report, tmp_path)


def test_what_cannot_be_compared_is_passed_over(make_report, tmp_path):
    report = make_report({"a": [1.0]})
    keep_report(report, tmp_path)
    other = make_report({"a": [1.0]})
    other.machine = msgspec.structs.replace(other.machine, processor="Abacus")
    keep_report(other, tmp_path)
    elsewhere = make_report({"a": [1.0]})
    elsewhere.footage = msgspec.structs.replace(elsewhere.footage, name="another clip")
    keep_report(elsewhere, tmp_path)
    (tmp_path / "bench-broken.json").write_text("{")
    assert read_history(tmp_path, report) == [report]


def test_a_row_that_is_new_has_no_trend(make_report):
    assert trends([make_report({"a": [1.0]})], make_report({"b": [1.0]})) == {}
