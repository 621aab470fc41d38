"""Keeps a folder of reports, one per run, and the trend of each row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekit._printable import as_unicode
from edgekit.benchmarks.report.reading import read_report
from edgekit.benchmarks.report.report import Report
from edgekit.errors import BadInputError
from edgekit.files.output_paths import writing
from edgekit.files.writing import atomic_file

__all__ = ["keep_report", "read_history", "trends"]


def keep_report(report: Report, folder: Path) -> Path:
    """Adds a report to the folder, which is created if necessary.

    Raises:
        OutputError: The report cannot be written there.
    """
    moment = re.sub(r"\W", "", report.created.partition("+")[0])
    with writing(folder):
        folder.mkdir(exist_ok=True)
    path, number = folder / f"bench-{moment}.json", 1
    while path.exists():
        number += 1
        path = folder / f"bench-{moment}-{number}.json"
    with atomic_file(path) as temporary:
        content = msgspec.json.encode(as_unicode(msgspec.to_builtins(report)))
        temporary.write_bytes(msgspec.json.format(content, indent=1))
    return path


def read_history(folder: Path, like: Report) -> list[Report]:
    """Returns the reports in the folder that are comparable with ``like``, the earliest first.

    Reports of other machines, footage or schemas are skipped.
    """
    found = []
    for path in folder.glob("bench-*.json"):
        try:
            report = read_report(path)
        except BadInputError:
            continue
        if report.machine.same_as(like.machine) and report.footage == like.footage:
            found.append(report)
    return sorted(found, key=lambda report: report.created)


def trends(history: Sequence[Report], report: Report) -> dict[str, list[tuple[str, float]]]:
    """Returns the overall p50 of each row of a report in all reports, in milliseconds, with dates.

    Returns:
        Values by the number of the row, from 1; rows that were never measured before are left out.
    """
    found: dict[str, list[tuple[str, float]]] = {}
    for number, row in enumerate(report.rows, 1):
        points = [
            (old.created, same.result.overall.p50)
            for old in history
            for same in old.rows
            if same.key == row.key and same.result
        ]
        if len(points) > 1:
            found[str(number)] = points
    return found
