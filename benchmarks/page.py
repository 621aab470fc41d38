"""A report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edgekit.benchmarks.charts import bars, scatter, stacked, strips, trend
from edgekit.benchmarks.history import trends
from edgekit.benchmarks.report import Report
from edgekit.benchmarks.tables import Grid, grids, header_lines, note_lines
from edgekit.runtime.clocks import STAGES

__all__ = ["to_html"]

_STYLE = """
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #0b0b0b; --soft: #52514e; --rule: #e1e0d9;
  --s0: #2a78d6; --s1: #1baf7a; --s2: #eda100; --s3: #008300; --s4: #4a3aa7; --s5: #e34948;
  --on0: #fff; --on1: #0b0b0b; --on2: #0b0b0b; --on3: #fff; --on4: #fff; --on5: #0b0b0b;
  --note: #fdf3dc; }
@media (prefers-color-scheme: dark) { :root { --page: #1a1a19; --ink: #fff; --soft: #c3c2b7;
  --rule: #383835; --s0: #3987e5; --s1: #199e70; --s2: #c98500; --s3: #008300; --s4: #9085e9;
  --s5: #e66767; --on0: #0b0b0b; --on2: #0b0b0b; --on4: #0b0b0b; --note: #3a2f14; } }
body { background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p, li { color: var(--soft); margin: .15rem 0; } ul { padding-left: 1.2rem; }
.notes { background: var(--note); border-radius: 6px; padding: .6rem 1rem .6rem 2rem; }
.notes li { color: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--rule); text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } .word { text-align: left; }
svg { width: 100%; height: auto; display: block; font-size: 12px; overflow: visible; }
text { fill: var(--ink); } .minor { fill: var(--soft); } .strong { font-weight: 600; }
.grid { stroke: var(--rule); } .cut { stroke: var(--soft); stroke-dasharray: 2 3; }
.trace { fill: none; stroke: var(--s0); stroke-width: 1.5; }
.frontier { fill: none; stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
.dot { fill: var(--s0); stroke: var(--page); stroke-width: 2; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .85rem; margin: 0 0 .5rem; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
"""


def to_html(report: Report, history: Sequence[Report] = ()) -> str:
    """The page; light or dark as the reader's system is.

    Args:
        report: What to show.
        history: Reports of the same machine, this one among them, the earliest first.
    """
    tables = grids(report)
    what, *figures = tables
    body = [
        "<h1>edgekit bench</h1>",
        *(f"<p>{escape(line)}</p>" for line in header_lines(report)),
        _notes(note_lines(report)),
        _table(what),
        *_plots(report, history),
        *map(_table, figures),
    ]
    colours = "".join(
        f".s{place} {{ fill: var(--s{place}); background: var(--s{place}); }} "
        f".on{place} {{ fill: var(--on{place}); }}\n"
        for place in range(len(STAGES))
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>edgekit bench, {escape(report.created)}</title>\n"
        f"<style>{_STYLE}{colours}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _notes(lines: list[str]) -> str:
    if not lines:
        return ""
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


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
    judged = {
        name: (result.overall.p50, 100 * result.accuracy.frame_map)
        for name, result in results.items()
        if result.accuracy
    }
    if judged:
        parts += [
            "<h2>frame-mAP@0.5 in percent against latency; dashed, what no other row beats</h2>",
            scatter(judged),
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


def _table(grid: Grid) -> str:
    def cells(kind: str, values: Sequence[str]) -> str:
        words = f'<{kind} class="word">', f"<{kind}>"
        return "".join(
            f"{words[column >= grid.words]}{escape(value)}</{kind}>"
            for column, value in enumerate(values)
        )

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in grid.rows)
    title = grid.title[0].upper() + grid.title[1:]
    return (
        f'<h2>{escape(title)}</h2>\n<div class="wide"><table>'
        f"<tr>{cells('th', grid.headings)}</tr>{rows}</table></div>"
    )
