"""Keeps what the tests have shown, and writes it as the page ``docs/virtual-machines.md``.

``python -m tests.vm.report`` writes the page from the results of the last ``make vm``.
"""

from __future__ import annotations

import html
import json
import time
from pathlib import Path
from typing import NamedTuple

from tests.vm.cache import WORK

PAGE = Path(__file__).resolve().parents[2] / "docs" / "virtual-machines.md"
RESULTS = WORK / "results"
LONGEST = 280
"""Characters of a text in a table."""


class Line(NamedTuple):
    """A row of the page.

    Attributes:
        claim: What is shown, as a sentence.
        command: What was run in the guest.
        shown: What it printed, or what was counted.
    """

    claim: str
    command: str
    shown: str


def keep(test: str, section: str, lines: list[Line], seconds: float) -> None:
    """Keeps the rows of a test that has passed, in a file of its own."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {
        "section": section,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "seconds": round(seconds, 1),
        "lines": lines,
    }
    (RESULTS / f"{test}.json").write_text(json.dumps(content, indent=1))


def forget(test: str) -> None:
    """Removes the rows of a test, because it runs again."""
    (RESULTS / f"{test}.json").unlink(missing_ok=True)


def tables() -> str:
    """Returns all rows as Markdown, in a table for each section."""
    sections: dict[str, list[list[str]]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        content = json.loads(path.read_text())
        sections.setdefault(content["section"], []).extend(content["lines"])
    text = ""
    for section, lines in sections.items():
        text += f"### {section}\n\n| shown | command | it printed |\n| --- | --- | --- |\n"
        for claim, command, shown in lines:
            text += f"| {_cell(claim)} | {_code(command)} | {_code(shown)} |\n"
        text += "\n"
    return text


def write() -> None:
    """Replaces the part of the page after its marker by the tables."""
    marker = "<!-- tables of make vm -->\n"
    before = PAGE.read_text().partition(marker)[0]
    PAGE.write_text(f"{before}{marker}\n{tables()}".rstrip() + "\n")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    """Text as HTML, because neither a command nor what it prints may look like Markdown."""
    line = " ".join(text.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST - 1]}…"
    safe = html.escape(line, quote=False)
    for sign in "|*_`[]":
        safe = safe.replace(sign, f"&#{ord(sign)};")
    return f"<code>{safe}</code>" if line else ""


if __name__ == "__main__":
    write()
