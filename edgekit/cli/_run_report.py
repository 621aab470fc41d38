"""What ``edgekit run`` says at its end."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgekit.cli._options import stdout_console
from edgekit.media.events import age_json, stages_json
from edgekit.runtime.results import RunSummary

__all__ = ["print_report", "print_reports", "summary_json"]

_TUBES_SHOWN = 20


def summary_json(summary: RunSummary) -> dict[str, Any]:
    """A run in numbers, as they stand in JSON; stages in milliseconds."""
    return {
        "frames": summary.frames,
        "dropped": summary.dropped,
        "seconds": round(summary.seconds, 3),
        "fps": round(summary.fps, 2),
        "interrupted": summary.interrupted,
        "stages": stages_json(summary.stages),
        **age_json(summary.age),
    }


def print_report(report: dict[str, Any], *, to_stderr: bool) -> None:
    """Prints the stages, the tubes and what was written.

    Args:
        report: As ``edgekit run --json`` prints it.
        to_stderr: Whether standard output is taken.
    """
    console = stdout_console(to_stderr)
    table = Table("stage", title="milliseconds a frame", title_justify="left")
    for heading in ("p50", "p90", "p99", "mean"):
        table.add_column(heading, justify="right")
    for stage, times in report["stages"].items():
        table.add_row(stage, *(f"{times[name]:.2f}" for name in ("p50", "p90", "p99", "mean")))
    console.print(table)
    if "age" in report:
        age = report["age"]
        console.print(
            f"Frames were {age['p50']:.1f} ms old at inference (p99 {age['p99']:.1f} ms)."
        )
    if report["tubes"]:
        tubes = Table("tube", "class", title="tubes, best first", title_justify="left")
        for heading in ("score", "first frame", "last frame"):
            tubes.add_column(heading, justify="right")
        for tube in report["tubes"][:_TUBES_SHOWN]:
            ends = (str(tube["start"]), str(tube["end"]))
            tubes.add_row(f"#{tube['id']}", tube["name"], f"{tube['score']:.2f}", *ends)
        console.print(tubes)
    state = "Interrupted after" if report["interrupted"] else "Done:"
    console.print(
        f"{state} {report['frames']} frames in {report['seconds']:.1f} s, {report['fps']:.1f} FPS; "
        f"{report['dropped']} dropped, {report['tubes_found']} "
        f"tube{'s' if report['tubes_found'] != 1 else ''}.",
        soft_wrap=True,
    )
    _print_outputs(console, report)


def print_reports(report: dict[str, Any], *, to_stderr: bool) -> None:
    """Prints a line for each of several sources, and what was written.

    Args:
        report: As ``edgekit run --json`` prints it.
        to_stderr: Whether standard output is taken.
    """
    console = stdout_console(to_stderr)
    table = Table("")
    table.add_column("source", overflow="fold")
    for heading in ("frames", "FPS", "dropped", "tubes", "age, ms"):
        table.add_column(heading, justify="right")
    for number, source in enumerate(report["sources"]):
        counts = [str(source[name]) for name in ("frames", "fps", "dropped", "tubes_found")]
        age = f"{source['age']['p50']:.1f}" if "age" in source else ""
        table.add_row(str(number), escape(source["source"]), *counts, age)
    console.print(table)
    state = "Interrupted after" if report["interrupted"] else "Done:"
    console.print(
        f"{state} {report['frames']} frames of {len(report['sources'])} sources in "
        f"{report['seconds']:.1f} s, {report['fps']:.1f} FPS in all; {report['dropped']} dropped.",
        soft_wrap=True,
    )
    for number, source in enumerate(report["sources"]):
        if "error" in source:
            console.print(f"Source {number}: {source['error']}", soft_wrap=True, markup=False)
        _print_outputs(console, source, f"Source {number}, ")


def _print_outputs(console: Console, report: dict[str, Any], of: str = "") -> None:
    if report.get("reconnects"):
        times = f"was lost and came back {report['reconnects']} times."
        console.print(f"{of.rstrip(', ') or 'The source'} {times}")
    for sink in report.get("sinks", ()):
        if sink["lost"] or sink["error"]:
            error = f" {sink['error']}" if sink["error"] else ""
            console.print(
                f"{of}{sink['name']}: {sink['lost']} of {sink['written'] + sink['lost']} frames, "
                f"gaps and tubes were lost.{error}",
                soft_wrap=True,
                markup=False,
            )
    codecs = report.get("codecs", {})
    for name, path in report["files"].items():
        if path != "-":
            codec = f" ({codecs[name]})" if name in codecs else ""
            console.print(f"Wrote {path}{codec}", soft_wrap=True, markup=False)
