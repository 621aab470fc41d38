"""Tests what a report shows of the operators of a model."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.report.comparison import compare
from edgekit.benchmarks.report.figures import noise_of
from edgekit.benchmarks.report.operator_tables import groups_of, profile_grids
from edgekit.benchmarks.report.page import to_html
from edgekit.benchmarks.report.reading import read_report
from edgekit.benchmarks.report.report import Report
from edgekit.benchmarks.report.tables import grids
from edgekit.benchmarks.report.texts import to_markdown
from edgekit.measuring.operator_times import OperatorTime, OperatorTimes
from edgekit.measuring.peak import Peak

PEAK = Peak(threads=1, gmacs=100.0, gbytes=10.0)


def operator(name: str, kind: str, ms: float, macs: int | None, size: int | None) -> OperatorTime:
    return OperatorTime(name=name, type=kind, ms=ms, macs=macs, bytes=size)


def profiled(*operators: OperatorTime, session: float = 10.0, whole: float = 10.2) -> OperatorTimes:
    return OperatorTimes(session_ms=session, profiled_ms=whole, operators=list(operators))


TIMES = profiled(
    operator("a<1>/Conv", "Conv", 4.0, 200_000_000, 1_000_000),
    operator("b/Conv", "Conv", 2.0, 100_000_000, 1_000_000),
    operator("c/Add", "Add", 1.0, 0, 5_000_000),
    operator("d", "Copy", 2.2, None, None),
)


@pytest.fixture
def with_operators(make_report):
    """A report of one row for each of the given times of operators."""

    def make(*times: OperatorTimes, round_ms: float = 10.0) -> Report:
        names = [f"row{place}" for place in range(len(times))]
        report = make_report({name: [round_ms] * 4 for name in names})
        for row, told in zip(report.rows, times, strict=True):
            row.result = msgspec.structs.replace(row.result, operators=told)
        report.peaks = [PEAK]
        return report

    return make


def test_types_and_layers_have_their_work_and_their_share_of_the_peak() -> None:
    types, layers = profile_grids(TIMES, PEAK, "row 1")
    assert [row[:3] for row in types.rows] == [
        ["Conv", "2", "6.000"],
        ["Copy", "1", "2.200"],
        ["Add", "1", "1.000"],
        ["outside operators", "", "1.000"],
        ["all", "4", "10.200"],
    ]
    conv, copied, add, *_ = types.rows
    assert conv[3:] == ["58.8%", "300.0", "2.00", "50%", "compute"]
    assert copied[4:] == ["not reported", "not reported", "", ""]
    assert add[3:] == ["9.8%", "", "5.00", "50%", "memory"]
    assert [row[0] for row in layers.rows] == ["a<1> Conv", "d Copy", "b Conv", "c Add"]
    for grid in (types, layers):
        assert {len(row) for row in grid.rows} == {len(grid.headings)}


def test_without_a_peak_there_is_no_share_of_it() -> None:
    types, layers = profile_grids(TIMES, None, "row 1")
    assert "peak" not in types.title
    assert all(row[-2:] == ["", ""] for row in (*types.rows, *layers.rows))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0.001, 10), st.integers(0, 10**9)),
        min_size=1,
        max_size=20,
    )
)
def test_nothing_is_lost_or_counted_twice(told: list[tuple[str, float, int]]) -> None:
    times = profiled(
        *(operator(str(n), kind, ms, n, size) for n, (kind, ms, size) in enumerate(told))
    )
    groups = groups_of(times)
    assert sum(len(group.operators) for group in groups) == len(told)
    assert sum(group.ms for group in groups) + times.outside_ms == pytest.approx(times.profiled_ms)
    assert [group.ms for group in groups] == sorted((group.ms for group in groups), reverse=True)
    assert sum(group.work[1] for group in groups if group.work) == sum(size for _, _, size in told)


def test_the_page_has_bars_and_a_roofline_of_each_row(with_operators) -> None:
    text = to_html(with_operators(TIMES, TIMES))
    plots = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text)]
    bars, *rooflines = (
        p for p in plots if "operator" in p.get("aria-label") or "roof" in p.get("aria-label")
    )
    assert len(bars.findall("rect")) == 2 * 3
    assert len(rooflines) == 2
    assert len(rooflines[0].findall("circle")) == 2  # only layers with multiply-adds
    assert "a&lt;1&gt;" in text
    assert "a<1>" not in text


def test_many_types_share_the_last_colour(with_operators) -> None:
    many = profiled(*(operator(str(n), f"type{n}", 1.0, 10**6, 10**6) for n in range(9)))
    text = to_html(with_operators(many))
    assert text.count("<i class=") >= 6
    assert "others" in text
    assert 'class="s6"' not in text


def test_a_report_without_operators_says_nothing_of_them(make_report) -> None:
    report = make_report({"a": [10.0] * 4})
    written = msgspec.json.encode(report)
    assert b"operators" not in written
    assert b"peaks" not in written
    assert "operator" not in to_html(report)
    assert not any("operator" in grid.title for grid in grids(report))


def test_a_report_comes_back_with_its_operators(with_operators, tmp_path: Path) -> None:
    report = with_operators(TIMES)
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(report))
    assert read_report(path) == report


def test_the_operator_that_moved_is_named(with_operators) -> None:
    slower = profiled(
        *(msgspec.structs.replace(o, ms=o.ms + (o.name == "b/Conv")) for o in TIMES.operators),
        whole=11.2,
    )
    report = with_operators(slower)
    report.changes = compare(report, with_operators(TIMES), Path("old.json"), None)
    report.compared_with = "old.json"
    assert report.changes[0].operator == "Conv +1.00, most in b/Conv +1.00"
    assert "Conv +1.00, most in b/Conv +1.00" in to_markdown(report)


def test_no_operator_moved_where_only_one_report_has_them(make_report, with_operators) -> None:
    (change,) = compare(with_operators(TIMES), make_report({"row0": [10.0] * 4}), Path("o"), None)
    assert change.operator is msgspec.UNSET


@pytest.mark.parametrize(("whole", "notes"), [(10.4, 0), (12.0, 1)])
def test_a_profiler_that_distorts_is_named(with_operators, whole: float, notes: int) -> None:
    found = [
        n
        for n in noise_of(with_operators(profiled(*TIMES.operators, whole=whole)))
        if "profiler" in n
    ]
    assert len(found) == notes


def test_the_peak_of_a_row_is_that_of_its_threads(with_operators) -> None:
    report = with_operators(TIMES)
    more = Peak(threads=4, gmacs=300.0, gbytes=15.0)
    report.peaks = [more, PEAK]
    (row,) = report.rows
    assert report.peak_of(row) == PEAK
    row.threads = 0
    assert report.peak_of(row) == more
    report.peaks = msgspec.UNSET
    assert report.peak_of(row) is None
