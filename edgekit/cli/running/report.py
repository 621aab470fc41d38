"""Prints the report at the end of ``edgekit run``."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from edgekit.cli.options.shared import stdout_console
from edgekit.cli.output.tables import print_table
from edgekit.media.sinks.health import SinkHealth
from edgekit.running.report import loss_of

__all__ = ["load_cost_line", "print_report", "print_reports"]

_TUBES_SHOWN = 20
_SKIPPED = {"fps": "--fps", "still": "--motion-gate"}


def print_report(report: dict[str, Any], *, to_stderr: bool) -> None:
    """Prints the stages, the tubes and the written files.

    Args:
        report: Report of the run, as ``edgekit run --json`` prints it.
        to_stderr: Whether to print on standard error, because standard output is in use.
    """
    console = stdout_console(to_stderr)
    figures = ("p50", "p90", "p99", "mean")
    print_table(
        console,
        ("stage", *figures),
        [
            (stage, *(f"{times[name]:.2f}" for name in figures))
            for stage, times in report["stages"].items()
        ],
        title="milliseconds a frame",
    )
    if "age" in report:
        age = report["age"]
        console.print(
            f"Frames were {age['p50']:.1f} ms old at inference (p99 {age['p99']:.1f} ms)."
        )
    if report["tubes"]:
        shown, found = report["tubes"][:_TUBES_SHOWN], report["tubes_found"]
        print_table(
            console,
            ("tube", "class", "score", "first frame", "last frame"),
            [
                (f"#{t['id']}", t["name"], f"{t['score']:.2f}", str(t["start"]), str(t["end"]))
                for t in shown
            ],
            title="tubes, best first"
            + (f": the {len(shown)} best of {found}" if len(shown) < found else ""),
            words=2,
        )
    state = "Interrupted after" if report["interrupted"] else "Done:"
    console.print(
        f"{state} {report['frames']} frames in {report['seconds']:.1f} s, {report['fps']:.1f} FPS; "
        f"{report['dropped']} dropped, {report['tubes_found']} "
        f"tube{'s' if report['tubes_found'] != 1 else ''}.",
        soft_wrap=True,
    )
    _print_limits(console, report)
    if "error" in report:
        console.print(report["error"], soft_wrap=True, markup=False)
    _print_skipped(console, report)
    if line := load_cost_line(report):
        console.print(line, soft_wrap=True)
    _print_outputs(console, report)


def print_reports(report: dict[str, Any], *, to_stderr: bool) -> None:
    """Prints a line for each of several sources, and the written files.

    Args:
        report: Report of the run, as ``edgekit run --json`` prints it.
        to_stderr: Whether to print on standard error, because standard output is in use.
    """
    console = stdout_console(to_stderr)
    rows = []
    for number, source in enumerate(report["sources"]):
        counts = [str(source[name]) for name in ("frames", "fps", "dropped", "tubes_found")]
        age = f"{source['age']['p50']:.1f}" if "age" in source else ""
        rows.append((str(number), source["source"], *counts, age))
    headings = ("", "source", "frames", "FPS", "dropped", "tubes", "age, ms")
    print_table(console, headings, rows, words=2)
    state = "Interrupted after" if report["interrupted"] else "Done:"
    console.print(
        f"{state} {report['frames']} frames of {len(report['sources'])} sources in "
        f"{report['seconds']:.1f} s, {report['fps']:.1f} FPS in all; {report['dropped']} dropped.",
        soft_wrap=True,
    )
    _print_limits(console, report)
    for number, source in enumerate(report["sources"]):
        if "error" in source:
            console.print(f"Source {number}: {source['error']}", soft_wrap=True, markup=False)
        if line := load_cost_line(source):
            console.print(f"Source {number}: {line}", soft_wrap=True)
        _print_skipped(console, source, f"Source {number}: ")
        _print_outputs(console, source, f"Source {number}, ")


def _print_limits(console: Console, report: dict[str, Any]) -> None:
    if (quota := report.get("cpu_quota")) is not None:
        console.print(
            f"A quota of the control group gives this run {quota:g} of a core's time.",
            soft_wrap=True,
        )


def _print_skipped(console: Console, report: dict[str, Any], of: str = "") -> None:
    for reason, frames in report.get("skipped", {}).items():
        console.print(f"{of}{_SKIPPED[reason]} left out {frames} frames.")
    if (gate := report.get("motion_gate")) is None:
        return
    if gate["threshold"] is None:
        words = "--motion-gate has found no stretch that was quiet enough to learn what noise is."
    else:
        words = (
            f"Changes of up to {gate['threshold']:.1f} of 255 levels were noise; motion ended "
            f"{gate['wakes']} rest{'s' if gate['wakes'] != 1 else ''}."
        )
    console.print(f"{of}{words}", soft_wrap=True)


def _print_outputs(console: Console, report: dict[str, Any], of: str = "") -> None:
    if report.get("reconnects"):
        count = report["reconnects"]
        times = f"was away and came back {count} time{'s' if count != 1 else ''}."
        console.print(f"{of.rstrip(', ') or 'The source'} {times}")
    for sink in report.get("sinks", ()):
        if words := loss_of(SinkHealth(**sink)):
            console.print(f"{of}{words}", soft_wrap=True, markup=False)
    codecs = report.get("codecs", {})
    for name, path in report["files"].items():
        if path != "-":
            codec = f" ({codecs[name]})" if name in codecs else ""
            console.print(f"Wrote {path}{codec}", soft_wrap=True, markup=False)


def load_cost_line(report: dict[str, Any]) -> str:
    """Returns a sentence about a report with dropped frames; else an empty string."""
    if "expected" not in report:
        return ""
    left = report["expected"]
    return (
        f"{100 * report['taken']:.0f}% of the frames were taken, {left['fps']:.1f} a second. "
        f"At such a rate the shipped model has {100 * left['frame_map']:.0f}% of its frame-mAP "
        f"and {100 * left['video_map']:.0f}% of its video-mAP on rendered clips."
    )
