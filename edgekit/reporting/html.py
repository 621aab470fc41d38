"""Builds self-contained HTML pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from edgekit._printable import as_unicode
from edgekit.reporting.grid import Grid

__all__ = ["document", "notes", "table"]

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
.wide { overflow-x: auto; background: local linear-gradient(90deg, var(--page) 1rem, transparent)
  0 0/3rem 100% no-repeat, local linear-gradient(270deg, var(--page) 1rem, transparent)
  100% 0/3rem 100% no-repeat, linear-gradient(90deg, #8888, transparent) 0 0/.6rem 100% no-repeat,
  linear-gradient(270deg, #8888, transparent) 100% 0/.6rem 100% no-repeat; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--rule); text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } .word { text-align: left; }
svg { width: 100%; min-width: 48rem; height: auto; display: block; font-size: 12px;
  overflow: visible; }
text { fill: var(--ink); } .minor { fill: var(--soft); } .strong { font-weight: 600; }
.grid { stroke: var(--rule); } .cut { stroke: var(--soft); stroke-dasharray: 2 3; }
.trace { fill: none; stroke: var(--s0); stroke-width: 1.5; }
.frontier { fill: none; stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
.dot { fill: var(--s0); stroke: var(--page); stroke-width: 2; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .85rem; margin: 0 0 .5rem; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
"""


_COLOURS = "".join(
    f".s{place} {{ fill: var(--s{place}); background: var(--s{place}); }} "
    f".on{place} {{ fill: var(--on{place}); }}\n"
    for place in range(6)
)


def document(title: str, body: Iterable[str], style: str = "") -> str:
    """Returns a page, light or dark according to the reader's system; a file can hold all of it.

    Args:
        title: Title of the window.
        body: Parts of the page; empty ones are left out. The classes ``s0`` to ``s5`` give
            distinguishable colours, and ``on0`` to ``on5`` those for text on them.
        style: CSS rules in addition to those of every page.
    """
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{_COLOURS}{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )
    return str(as_unicode(text))


def notes(lines: Sequence[str]) -> str:
    """Returns lines that a reader should not miss; empty if there are none."""
    if not lines:
        return ""
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def table(grid: Grid) -> str:
    """Returns a table under its title."""

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
