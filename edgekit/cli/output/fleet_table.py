"""Draws the table of ``edgekit fleet``."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from edgekit.cli.output.console import Console
from edgekit.cli.output.tables import KEPT, print_facts, print_table
from edgekit.fleet.devices import DeviceReport, DeviceState, Fleet

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

__all__ = ["fleet_text", "print_fleet"]

_MARKS: dict[DeviceState, str] = {"degraded": "! ", "stale": "? ", "dead": "x "}
_STATES: tuple[DeviceState, ...] = ("ok", "starting", "degraded", "stale", "dead", "ended")
_BUNDLE = 6
_SHORTEST = 8
_WIDE = 130
"""Width of a terminal, in columns, from which versions and hosts are shown too."""


def fleet_text(fleet: Fleet, place: str, width: int, trouble: str = "") -> str:
    """Returns the table as lines of text.

    Args:
        fleet: Devices to show.
        place: Host and port of the broker.
        width: Largest number of columns.
        trouble: Sentence to add below the table.
    """
    console = Console()
    console.file, console.width = io.StringIO(), width
    print_fleet(console, fleet, place)
    console.print(trouble)
    return console.file.getvalue()


def print_fleet(console: RichConsole, fleet: Fleet, place: str) -> None:
    """Prints the table, and why devices are not well.

    Args:
        console: Console to print on.
        fleet: Devices to show.
        place: Host and port of the broker.
    """
    reports = fleet.reports()
    counts = Counter(report.state for report in reports)
    states = ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])
    number = "1 device" if len(reports) == 1 else f"{len(reports)} devices"
    console.print(f"{number} at {place}" + (f": {states}" if states else ""), soft_wrap=True)
    if reports:
        wide = console.width >= _WIDE
        headings = ["device", "state", "FPS", "age, ms", "taken", "heard", "bundle"]
        headings += ["host", "EdgeKit", "runtime"] if wide else []
        rows = [_row(report, wide=wide) for report in reports]
        _shorten(headings, rows, console.width)
        print_table(console, headings, rows, words=2)
        if reasons := _reasons(reports):
            console.print()
            print_facts(console, reasons)
    if fleet.foreign:
        console.print(f"Messages of others that were ignored: {fleet.foreign}", soft_wrap=True)
    if fleet.surplus:
        console.print(
            f"Messages of further devices that were ignored: {fleet.surplus}", soft_wrap=True
        )


def _row(report: DeviceReport, *, wide: bool) -> list[str]:
    message = report.message
    bundle = f"{message.bundle.name} {message.bundle.sha256[:8]}"
    cells = [
        report.name,
        f"{_MARKS.get(report.state, '')}{report.state}",
        *_figures(report),
        "" if report.seconds is None else _ago(report.seconds),
        bundle,
    ]
    if wide:
        cells += [message.host, message.edgekit, f"{message.runtime} {message.runtime_version}"]
    return [cell.strip().replace(" ", KEPT) for cell in cells]


def _shorten(headings: Sequence[str], rows: Sequence[list[str]], width: int) -> None:
    """Shortens names of devices and bundles if they keep a table from fitting into a width.

    A device with a long name would otherwise change the table of all.
    """
    named = (0, _BUNDLE)
    columns = [[heading, *cells] for heading, *cells in zip(headings, *rows, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    room = width - 2 * (len(widths) - 1) - sum(widths) + sum(widths[place] for place in named)
    longest = max(room // len(named), _SHORTEST)
    if sum(widths[place] for place in named) <= room:
        return
    for row in rows:
        for place in named:
            if cell_len(row[place]) > longest:
                row[place] = f"{set_cell_size(row[place], longest - 1).rstrip()}…"


def _figures(report: DeviceReport) -> list[str]:
    message = report.message
    if message.state == "offline":
        return ["", "", ""]
    return [
        "" if message.rate is None else f"{message.rate:.1f}",
        "" if message.age is None else f"{message.age:.0f}",
        "" if message.taken is None else f"{100 * min(message.taken, 1):.0f}%",
    ]


def _reasons(reports: Sequence[DeviceReport]) -> list[tuple[str, str]]:
    return [(report.name, " ".join(report.reasons)) for report in reports if report.reasons]


def _ago(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 360_000 else f"{seconds / 86400:.0f} d"
