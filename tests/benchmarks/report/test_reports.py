"""Tests a report as tables, CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import re
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.report.charts import frontier
from edgekit.benchmarks.report.page import to_html
from edgekit.benchmarks.report.report import Change, LoadPoint, Row, RowFailure, TunedSetting
from edgekit.benchmarks.report.tables import grids, header_lines, note_lines
from edgekit.benchmarks.report.texts import to_csv, to_markdown
from edgekit.pipeline.stage_timer import STAGES

HOSTILE = 'a<b>|"&c'


@pytest.fixture
def report(make_report):
    """Two rows that were measured, with a name as bad as can be, and one that was not."""
    times = {HOSTILE: [10.0, 10.2, 10.1, 10.0], "b": [3.0, 3.0, 3.1, 3.0]}
    made = make_report(times, accuracy={HOSTILE: 0.83, "b": 0.8}, joules=2.6)
    missing = RowFailure(code="missing_dependency", message="No 'x'.", hint='pip install "x"')
    made.rows.append(
        Row(
            bundle="c",
            sha256="1" * 64,
            target="jetson",
            precision="fp16",
            input=(256, 320),
            cascade="ssim, host",
            size=1,
            runtime="tensorrt",
            threads=0,
            arithmetic=None,
            error=missing,
        )
    )
    made.notes.append("Other processes had 50% of the processor meanwhile.")
    made.compared_with = "old.json"
    made.changes.append(
        Change(row=1, verdict="slower", before=2.0, after=5.5, ratio=2.75, p=0.02, regression=True)
    )
    return made


def test_every_table_is_rectangular_and_has_every_row(report):
    tables = grids(report)
    for grid in tables:
        assert {len(row) for row in grid.rows} == {len(grid.headings)}
    assert len(tables[0].rows) == 3
    assert tables[1].headings[2:] == (*STAGES, "overall")
    assert [row[1] for row in tables[1].rows] == ["p50", "p90", "p99"] * 2
    assert tables[2].rows[0][6] == "0.100"


def test_the_papers_figures_stand_beside_ours(report):
    paper = grids(report)[3]
    assert paper.headings == ("", "cascade", "network", "decode + link", "overall", "FPS")
    assert paper.rows[-1][1:] == ["5.00", "16.40", "2.50", "23.90", "41.8"]
    assert "desktop GPU" in paper.rows[-1][0]
    assert paper.rows[1][1:4] == ["0.50", "3.00", "1.00"]


def test_the_chosen_settings_stand_beside_the_default_ones(report):
    report.tuned = [
        TunedSetting(row=1, default=0, file="f"),
        TunedSetting(row=0, default=0, file="g"),
    ]
    table = grids(report)[-1]
    assert [row[1] for row in table.rows] == [
        "onnxruntime, 1 thread", "onnxruntime, 1 thread, the default"
    ]  # fmt: skip
    assert float(table.rows[0][2]) < float(table.rows[0][3])


def test_what_is_missing_and_what_disturbed_is_said(report):
    assert any("Python" in line for line in header_lines(report))
    lines = note_lines(report)
    assert "Other processes had 50% of the processor meanwhile." in lines
    assert any(line.startswith("c, tensorrt: No 'x'. pip install") for line in lines)


def test_csv_has_a_line_for_each_row_and_leaves_out_what_is_unknown(report):
    lines = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert [line["bundle"] for line in lines] == [HOSTILE, "b", "c"]
    assert float(lines[1]["network_p50_ms"]) == 3.0
    assert float(lines[1]["overall_p99_ms"]) == pytest.approx(5.5, abs=0.2)
    assert lines[1]["frame_map"] == "0.8"
    assert lines[2]["network_p50_ms"] == ""
    assert lines[2]["error"] == "No 'x'."


def test_markdown_keeps_its_columns(report):
    text = to_markdown(report)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert "| 2 | slower, beyond the limit | 2.00 | 5.50 | 2.750 | 0.020 |" in text


def test_the_page_needs_nothing_but_itself(report, read_page):
    text = to_html(report)
    page = read_page(text)
    assert not page.addresses
    assert not {"script", "link", "img", "iframe", "b"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_plots_are_whole_and_show_what_was_measured(report):
    plots = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", to_html(report))]
    assert len(plots) == 4
    stages, accuracy, time, memory = plots
    assert len(stages.findall("rect")) == 2 * len(STAGES)
    wide = [float(rect.get("width")) for rect in stages.findall("rect")]
    assert wide[2] > wide[8] > wide[0]
    assert len(accuracy.findall("circle")) == 2
    assert len(time.findall("polyline")) == 8
    assert len(memory.findall("rect")) == 2


def test_what_drops_cost_has_a_table_a_plot_and_columns(make_report):
    made = make_report({HOSTILE: [1.0], "b": [2.0]})
    for row, best in zip(made.rows, (0.8, 0.0), strict=True):
        points = [
            LoadPoint(
                every=every,
                frames=80,
                taken=-(-80 // every),
                frame_map=best / every,
                frame_map_full=best,
                video_map={"0.5": best / 2 / every},
                age_p50=10.0 * every,
                age_longest=50.0,
            )
            for every in (1, 2, 8)
        ]
        row.result = msgspec.structs.replace(row.result, under_load=points)
    (table,) = [grid for grid in grids(made) if grid.title.startswith("under load")]
    assert table.rows[0][:7] == ["1", "each", "80/80", "0.800", "100.0%", "0.400", "100.0%"]
    assert table.rows[1][:7] == ["", "1 of 2", "40/80", "0.400", "50.0%", "0.200", "50.0%"]
    assert table.rows[3][4] == "not measured"
    plots = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", to_html(made))]
    assert [len(plot.findall("circle")) for plot in plots] == [0, 2 * 3 * 3, 0, 0]
    line, _ = csv.DictReader(io.StringIO(to_csv(made)))
    assert line["frame_map_under_load_1_of_8"] == "0.1"
    assert line["age_under_load_1_of_2_p50_ms"] == "20.0"


def test_without_accuracy_there_is_no_such_plot(make_report):
    text = to_html(make_report({"a": [1.0]}))
    assert "frame-mAP" not in text
    assert text.count("<svg") == 3


points = st.dictionaries(
    st.text(min_size=1, max_size=3), st.tuples(st.floats(1, 100), st.floats(0, 100)), min_size=1
)


@given(points)
def test_nothing_beats_the_frontier_and_it_beats_the_rest(points):
    best = frontier(points)

    def beats(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    for name in best:
        assert not any(beats(other, points[name]) for other in points.values())
    for name in points.keys() - set(best):
        assert any(beats(points[b], points[name]) or points[b] == points[name] for b in best)
