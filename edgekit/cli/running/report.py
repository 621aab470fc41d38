"""Prints the report at the end of ``edgekit run``."""

from __future__ import annotations

from rich.console import Console

from edgekit._printable import plural
from edgekit.cli.options.shared import stdout_console
from edgekit.cli.output.tables import print_table
from edgekit.running.load_cost import ProcessedShare
from edgekit.running.report import RunReport, SourceReport, loss_of

__all__ = ["load_cost_line", "print_report", "print_reports"]

_TUBES_SHOWN = 20
_SKIPPED = {"fps": "--fps", "still": "--motion-gate"}


def print_report(report: SourceReport, cpu_quota: float | None = None, *, to_stderr: bool) -> None:
    """Prints the stages, the tubes and the written files.

    Args:
        report: Report of the only source of a run.
        cpu_quota: Share of a core's time that the control group allows; None without a limit.
        to_stderr: Whether to print on standard error, because standard output is in use.
    """
    console = stdout_console(to_stderr=to_stderr)
    summary, count = report.summary, report.tally.tubes
    figures = ("p50", "p90", "p99", "mean")
    print_table(
        console,
        ("stage", *figures),
        [
            (stage, *(f"{getattr(times, name):.2f}" for name in figures))
            for stage, times in summary.stages.items()
        ],
        title="milliseconds a frame",
    )
    if (age := summary.age) is not None:
        console.print(f"Frames were {age.p50:.1f} ms old at inference (p99 {age.p99:.1f} ms).")
    if count:
        shown = report.tally.best()[:_TUBES_SHOWN]
        print_table(
            console,
            ("tube", "class", "score", "first frame", "last frame"),
            [
                (f"#{t['id']}", f"{t['name']}", f"{t['score']:.2f}", f"{t['start']}", f"{t['end']}")
                for t in shown
            ],
            title="tubes, best first"
            + (f": the {len(shown)} best of {count}" if len(shown) < count else ""),
            words=2,
        )
    state = "Interrupted after" if summary.interrupted else "Done:"
    console.print(
        f"{state} {summary.frames} {plural('frame', summary.frames)} in {summary.seconds:.1f} s, "
        f"{summary.fps:.1f} FPS; {summary.dropped} dropped, {count} {plural('tube', count)}.",
        soft_wrap=True,
    )
    _print_limits(console, cpu_quota)
    if report.error:
        console.print(report.error.message, soft_wrap=True)
    _print_skipped(console, report)
    if line := load_cost_line(report.share):
        console.print(line, soft_wrap=True)
    _print_outputs(console, report)


def print_reports(report: RunReport, *, to_stderr: bool) -> None:
    """Prints a line for each of several sources, and the written files.

    Args:
        report: Report of the run.
        to_stderr: Whether to print on standard error, because standard output is in use.
    """
    console = stdout_console(to_stderr=to_stderr)
    rows = []
    for number, source in enumerate(report.sources):
        summary = source.summary
        counts = (summary.frames, round(summary.fps, 2), summary.dropped, source.tally.tubes)
        age = f"{summary.age.p50:.1f}" if summary.age is not None else ""
        rows.append((str(number), source.source, *map(str, counts), age))
    headings = ("", "source", "frames", "FPS", "dropped", "tubes", "age, ms")
    print_table(console, headings, rows, words=2)
    state = "Interrupted after" if report.interrupted else "Done:"
    console.print(
        f"{state} {report.frames} {plural('frame', report.frames)} of {len(report.sources)} "
        f"sources in {report.seconds:.1f} s, {report.fps:.1f} FPS in all; "
        f"{report.dropped} dropped.",
        soft_wrap=True,
    )
    _print_limits(console, report.cpu_quota)
    for number, source in enumerate(report.sources):
        if source.error:
            console.print(f"Source {number}: {source.error.message}", soft_wrap=True)
        if line := load_cost_line(source.share):
            console.print(f"Source {number}: {line}", soft_wrap=True)
        _print_skipped(console, source, f"Source {number}: ")
        _print_outputs(console, source, f"Source {number}, ")


def _print_limits(console: Console, cpu_quota: float | None) -> None:
    if cpu_quota is not None:
        quota = f"{round(cpu_quota, 3):g}"
        console.print(
            f"The CPU quota of the control group limits this run to {quota} "
            f"{plural('core', cpu_quota)}.",
            soft_wrap=True,
        )


def _print_skipped(console: Console, report: SourceReport, of: str = "") -> None:
    for reason, frames in report.summary.skipped.items():
        console.print(f"{of}{_SKIPPED[reason]} left out {frames} {plural('frame', frames)}.")
    if (gate := report.summary.motion_gate) is None:
        return
    if gate.threshold is None:
        words = "--motion-gate found no time without motion from which to learn the noise."
    else:
        words = (
            f"Changes of up to {gate.threshold:.1f} of 255 levels were noise; motion ended "
            f"{gate.wakes} {plural('pause', gate.wakes)}."
        )
    console.print(f"{of}{words}", soft_wrap=True)


def _print_outputs(console: Console, report: SourceReport, of: str = "") -> None:
    if count := report.tally.reconnects:
        times = f"was lost and reconnected {count} {plural('time', count)}."
        console.print(f"{of.rstrip(', ') or 'The source'} {times}")
    for sink in report.sinks:
        if words := loss_of(sink):
            console.print(f"{of}{words}", soft_wrap=True)
    codecs = report.codecs
    for name, path in report.files.items():
        if path != "-":
            codec = f" ({codecs[name]})" if name in codecs else ""
            console.print(f"Wrote {path}{codec}", soft_wrap=True)


def load_cost_line(share: ProcessedShare | None) -> str:
    """Returns a sentence about a source with dropped frames; else an empty string."""
    if share is None or share.expected is None:
        return ""
    left = share.expected
    return (
        f"{100 * share.taken:.0f}% of the frames were processed, {left.fps:.1f} per second. "
        f"At this rate the shipped model keeps {100 * left.frame_map:.0f}% of its frame-mAP "
        f"and {100 * left.video_map:.0f}% of its video-mAP on rendered clips."
    )
