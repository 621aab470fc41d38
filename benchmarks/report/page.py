"""Writes a report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edgekit.benchmarks.report.charts import bars, scatter, stacked, strips, trend
from edgekit.benchmarks.report.history import trends
from edgekit.benchmarks.report.load_chart import load_chart
from edgekit.benchmarks.report.operator_charts import operator_plots
from edgekit.benchmarks.report.report import Report
from edgekit.benchmarks.report.tables import grids, header_lines, note_lines
from edgekit.pipeline.stage_timer import STAGES
from edgekit.reporting.html import document, notes, table

__all__ = ["to_html"]


def to_html(report: Report, history: Sequence[Report] = ()) -> str:
    """Returns the page, light or dark according to the reader's system.

    Args:
        report: Report to show.
        history: Reports of this machine, including this one, the earliest first.
    """
    tables = grids(report)
    what, *figures = tables
    body = [
        "<h1>edgekit bench</h1>",
        *(f"<p>{escape(line)}</p>" for line in header_lines(report)),
        notes(note_lines(report)),
        table(what),
        *_plots(report, history),
        *map(table, figures),
    ]
    return document(f"edgekit bench, {report.created}", body)


def _plots(report: Report, history: Sequence[Report]) -> list[str]:
    results = {str(n): row.result for n, row in enumerate(report.rows, 1) if row.result}
    parts = [
        "<h2>Where the time of a frame goes: medians of the stages, and of all</h2>",
        '<p class="key">'
        + "".join(
            f'<span><i class="s{place}"></i>{stage}</span>' for place, stage in enumerate(STAGES)
        )
        + "</p>",
        stacked(
            {
                name: {stage: result.stages[stage].p50 for stage in STAGES}
                for name, result in results.items()
            },
            {name: result.overall.p50 for name, result in results.items()},
        ),
    ]
    rows = {str(n): row for n, row in enumerate(report.rows, 1)}
    parts += operator_plots(
        {name: result.operators for name, result in results.items() if result.operators},
        {name: report.peak_of(rows[name]) for name in results},
    )
    accurate = {
        name: (result.overall.p50, result.accuracy.frame_map)
        for name, result in results.items()
        if result.accuracy
    }
    if accurate:
        parts += [
            "<h2>frame-mAP@0.5 against latency; dashed, what no other row beats</h2>",
            scatter(accurate),
        ]
    loaded = {name: result.under_load for name, result in results.items() if result.under_load}
    if loaded:
        parts += [
            "<h2>Under load: what a board that takes a share of the frames still gets right</h2>",
            load_chart(loaded),
        ]
    parts += [
        "<h2>Every frame, in the order in which they were measured; dashed, between rounds</h2>",
        strips({n: [lap.frame_ms for lap in result.rounds] for n, result in results.items()}),
    ]
    memory = {n: r.peak_memory / 2**20 for n, r in results.items() if r.peak_memory is not None}
    if memory:
        parts += ["<h2>Memory at its peak</h2>", bars(memory, "MiB")]
    past = trends(history, report)
    if past:
        parts += ["<h2>Overall p50, run after run</h2>", trend(past)]
    return parts
