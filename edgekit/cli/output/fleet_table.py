"""Draws the table of ``edgekit fleet``."""

from __future__ import annotations

import bisect
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

_MARKS: dict[DeviceState, str] = {"degraded": "! ", "stale": "? ", "dead": "x ", "failed": "x "}
_STATES: tuple[DeviceState, ...] = (
    "ok",
    "starting",
    "degraded",
    "stale",
    "dead",
    "failed",
    "ended",
)
_BUNDLE = 6
_SHORTEST = 12
_DIGEST = 8
_WIDE = 130
"""Width of a terminal, in columns, from which versions and hosts are shown too."""


def fleet_text(fleet: Fleet, place: str, width: int, height: int, trouble: str = "") -> str:
    """Returns the table as lines of text, with as many devices as there is room for.

    Args:
        fleet: Devices to show.
        place: Host and port of the broker.
        width: Largest number of columns.
        height: Largest number of lines.
        trouble: Sentence to add below the table.
    """

    def text(number: int) -> str:
        console = Console()
        console.file, console.width = io.StringIO(), width
        print_fleet(console, fleet, place, most=number)
        if trouble:
            console.print(trouble)
        return console.file.getvalue().rstrip()

    def lines(number: int) -> int:
        return text(number).count("\n") + 1

    count = len(fleet.reports())
    most = min(count, height)  # each device takes a line at least
    if most < count or lines(most) > height:
        most = max(bisect.bisect_right(range(1, most), height, key=lines), 1)
    return text(most)


def print_fleet(console: RichConsole, fleet: Fleet, place: str, *, most: int | None = None) -> None:
    """Prints the table, and why devices are not well. Those come first.

    Args:
        console: Console to print on.
        fleet: Devices to show.
        place: Host and port of the broker.
        most: Number of devices to show; None for all. The others are counted.
    """
    reports = sorted(fleet.reports(), key=lambda report: report.state not in _MARKS)
    number = "1 device" if len(reports) == 1 else f"{len(reports)} devices"
    console.print(f"{number} at {place}{_counted(reports)}", soft_wrap=True)
    reports, others = reports[:most], reports[len(reports) if most is None else most :]
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
        if others:
            console.print(f"There is no room for {len(others)} more{_counted(others)}")
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
    columns = [[heading, *cells] for heading, *cells in zip(headings, *rows, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    named = widths[0] + widths[_BUNDLE]
    room = width - 2 * (len(widths) - 1) - sum(widths) + named
    if named <= room or room < 2 * _SHORTEST:  # each device gets lines of its own then
        return
    bundle = max(room // 2, min(widths[_BUNDLE], room - widths[0]))
    name = max(room - bundle, min(widths[0], room - widths[_BUNDLE]))
    for row in rows:
        row[0] = _shortened(row[0], name, name // 2)
        row[_BUNDLE] = _shortened(row[_BUNDLE], room - name, _DIGEST)


def _shortened(text: str, width: int, kept: int) -> str:
    """Returns text of at most ``width`` columns, with its last ``kept`` columns at least.

    Names of devices differ at their end, and bundles in the digits of their checksum.
    """
    if cell_len(text) <= width:
        return text
    end = text
    while cell_len(end) > kept:
        end = end[1:]
    start = set_cell_size(text, width - 1 - cell_len(end)).rstrip()
    return f"{start}…{end}"


def _figures(report: DeviceReport) -> list[str]:
    message = report.message
    if message.state == "offline":
        return ["", "", ""]
    return [
        "" if message.rate is None else f"{message.rate:.1f}",
        "" if message.age is None else f"{message.age:.0f}",
        "" if message.taken is None else f"{100 * min(message.taken, 1):.0f}%",
    ]


def _counted(reports: Sequence[DeviceReport]) -> str:
    counts = Counter(report.state for report in reports)
    states = ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])
    return f": {states}" if states else ""


def _reasons(reports: Sequence[DeviceReport]) -> list[tuple[str, str]]:
    return [(report.name, " ".join(report.reasons)) for report in reports if report.reasons]


def _ago(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 360_000 else f"{seconds / 86400:.0f} d"
