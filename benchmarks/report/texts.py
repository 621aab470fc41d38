"""Writes a report as CSV and as Markdown."""

from __future__ import annotations

import csv
import io

from edgekit._printable import printable
from edgekit.benchmarks.report.report import Report, Row
from edgekit.benchmarks.report.tables import grids, header_lines, note_lines
from edgekit.pipeline.stage_timer import STAGES
from edgekit.reporting.grid import Grid

__all__ = ["to_csv", "to_markdown"]

_PERCENTILES = ("p50", "p90", "p99", "spread")


def to_csv(report: Report) -> str:
    """Returns a line per row and a column per figure; unmeasured values are empty."""
    lines = [_record(report, row) for row in report.rows]
    headings = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, headings, restval="", lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({
            name: printable(value) if isinstance(value, str) else value
            for name, value in line.items()
        })  # fmt: skip
    return text.getvalue()


def _record(report: Report, row: Row) -> dict[str, object]:
    record: dict[str, object] = {
        "bundle": row.bundle,
        "target": row.target,
        "precision": row.precision,
        "input": f"{row.input[0]}x{row.input[1]}",
        "runtime": row.runtime,
        "threads": row.threads or "auto",
        "arithmetic": row.arithmetic or "",
        "error": row.error.message if row.error else "",
        "processor": report.machine_of(row).processor,
        "size_bytes": row.size,
    }
    if row.host:
        record = {"host": row.host, **record}
    result = row.result
    if result is None:
        return record
    record |= {"version": result.version, "arithmetic": result.arithmetic}
    for name, figures in {
        **{s: result.stages[s] for s in STAGES},
        "overall": result.overall,
    }.items():
        for percentile in _PERCENTILES:
            unit = "" if percentile == "spread" else "_ms"
            record[f"{name}_{percentile}{unit}"] = getattr(figures, percentile)
    record |= {
        "fps": result.fps,
        "cpu_seconds": result.cpu_seconds,
        "peak_memory_bytes": result.peak_memory,
        "first_frame_seconds": result.first_frame,
        "joules": result.joules,
    }
    if result.accuracy:
        record["frame_map"] = result.accuracy.frame_map
        record |= {f"video_map@{at}": v for at, v in result.accuracy.video_map.items()}
    for point in result.under_load:
        of = f"_under_load_1_of_{point.every}"
        record[f"frame_map{of}"] = point.frame_map
        record |= {f"video_map@{at}{of}": v for at, v in point.video_map.items()}
        record |= {f"age{of}_p50_ms": point.age_p50, f"age{of}_longest_ms": point.age_longest}
    return record


def to_markdown(report: Report) -> str:
    """Returns the tables, for a design review or a pull request."""
    lines = ["# edgekit bench", "", *(f"- {_plain(line)}" for line in header_lines(report)), ""]
    for grid in grids(report):
        lines += [*_table(grid), ""]
    lines += [f"- {_plain(line)}" for line in note_lines(report)]
    return "\n".join(lines).rstrip() + "\n"


def _table(grid: Grid) -> list[str]:
    rules = ["---" if column < grid.words else "---:" for column in range(len(grid.headings))]
    rows = [grid.headings, rules, *grid.rows]
    return [
        f"**{_plain(grid.title[0].upper() + grid.title[1:])}**",
        "",
        *(f"| {' | '.join(map(_plain, cells))} |" for cells in rows),
    ]


def _plain(text: str) -> str:
    """Returns text of one line that is text in Markdown too, whoever named the layers."""
    return printable(" ".join(text.split("\n"))).replace("|", "\\|").replace("<", "&lt;")
