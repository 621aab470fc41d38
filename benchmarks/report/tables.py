"""Turns a report into tables of text, for a terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit._printable import plural
from edgekit.benchmarks.report.checks import VIDEO_THRESHOLDS
from edgekit.benchmarks.report.operator_tables import operator_grids
from edgekit.benchmarks.report.report import (
    PAPER,
    Change,
    MeasuredDevice,
    Report,
    Row,
    RowResult,
    TunedSetting,
)
from edgekit.measuring.machine import Machine
from edgekit.pipeline.stage_timer import STAGES
from edgekit.reporting.grid import Grid

__all__ = ["grids", "header_lines", "note_lines"]

_NONE = "not measured"
_PERCENTILES = ("p50", "p90", "p99")


def header_lines(report: Report) -> list[str]:
    """Returns lines about the machine, the versions and the footage."""
    footage = report.footage
    rounds = max((len(row.result.rounds) for row in report.rows if row.result), default=0)
    return [
        *_machine_lines(report.machine),
        f"{footage.name}, {footage.width}x{footage.height}: {report.frames} frames in each of "
        f"{rounds} {plural('round', rounds)}, {report.created}",
        f"Energy: {report.energy}",
        *(line for device in report.devices or () for line in _device_lines(device)),
    ]


def _machine_lines(machine: Machine) -> tuple[str, str]:
    memory = f", {machine.memory_gib} GiB" if machine.memory_gib else ""
    governor = f", governor {machine.governor}" if machine.governor else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    cores = f"{machine.cores} {plural('core', machine.cores)}"
    return (
        f"{machine.processor} ({machine.architecture}), {cores}{memory}{governor}",
        f"{machine.system}, Python {machine.python}, {versions}",
    )


def _device_lines(device: MeasuredDevice) -> list[str]:
    if device.machine is None:
        return []
    lines = [*_machine_lines(device.machine), f"{device.created}, energy: {device.energy}"]
    return [f"{device.host}: {line}" for line in lines]


def note_lines(report: Report) -> list[str]:
    """Returns remarks about the figures, and the reasons for missing rows."""
    lines = list(report.notes)
    lines += [f"{each.host}: {each.error}" for each in report.devices or () if each.error]
    for row in report.rows:
        if row.error:
            hint = f" {row.error.hint}" if row.error.hint else ""
            lines.append(f"{row.label}: {row.error.message}{hint}")
    if report.interrupted:
        lines.append("Interrupted: what was measured until then is here.")
    return lines


def grids(report: Report) -> list[Grid]:
    """Returns all tables, in order."""
    numbered = list(enumerate(report.rows, 1))
    measured = [(number, row, row.result) for number, row in numbered if row.result]
    tables = [
        _setups(report),
        Grid(
            "milliseconds a frame",
            ("", "", *STAGES, "overall"),
            [line for number, _, result in measured for line in _stages(number, result)],
            words=2,
        ),
        Grid(
            "a row as a whole",
            (
                *("", "FPS", "CPU s a frame", "memory MiB", "model MB", "first frame s"),
                *("J a frame", "rounds differ by"),
            ),
            [_whole(number, row, result) for number, row, result in measured],
        ),
        Grid(
            "milliseconds a frame, as the paper counts them",
            ("", *PAPER, "FPS"),
            [*(_paper(str(number), result.paper) for number, _, result in measured),
             _paper("KORSAL, the paper's desktop GPU", PAPER)],
            wrapped=(0,),
        ),
    ]  # fmt: skip
    evaluated = [(number, result) for number, _, result in measured if result.accuracy]
    if evaluated:
        tables.append(_accuracy(evaluated))
    loaded = [(number, result) for number, _, result in measured if result.under_load]
    if loaded:
        tables.append(_under_load(loaded))
    tables += operator_grids(report)
    if report.changes:
        tables.append(_changes(report))
    if report.tuned:
        tables.append(_all_tuned(report))
    return tables


def _changes(report: Report) -> Grid:
    profiled = any(change.operator for change in report.changes)
    return Grid(
        f"overall p50 against {report.compared_with}",
        (
            *("", "verdict", "before ms", "now ms", "ratio", "p", "most in"),
            *(("operator that moved",) if profiled else ()),
        ),
        [
            [*_change(change), *((change.operator or "",) if profiled else ())]
            for change in report.changes
        ],
        words=2,
        wrapped=(1, 6, 7),
    )


def _all_tuned(report: Report) -> Grid:
    return Grid(
        "the fastest setting of each bundle, which edgekit run takes from now on",
        ("bundle", "setting", "ms", "before ms"),
        [_tuned(report, tuned) for tuned in report.tuned],
        words=2,
        wrapped=(1,),
    )


def _tuned(report: Report, tuned: TunedSetting) -> list[str]:
    row = report.rows[tuned.row]
    usual = None if tuned.default is None else report.rows[tuned.default].result
    setting = row.label.removeprefix(f"{row.bundle}, ")
    return [
        row.bundle,
        setting if tuned.row != tuned.default else f"{setting}, the default",
        f"{row.result.overall.p50:.2f}" if row.result else "",
        f"{usual.overall.p50:.2f}" if usual else "",
    ]


def _setups(report: Report) -> Grid:
    headings = ["", "bundle", "runtime", "threads", "arithmetic", "input, cascade"]
    rows = [_setup(number, row) for number, row in enumerate(report.rows, 1)]
    if report.devices:
        headings.insert(1, "host")
        for cells, row in zip(rows, report.rows, strict=True):
            cells.insert(1, row.host or "this machine")
    count = len(headings)
    return Grid("what was measured", headings, rows, words=count, wrapped=(count - 4, count - 1))


def _setup(number: int, row: Row) -> list[str]:
    version, arithmetic = "", row.arithmetic or ""
    if row.result:
        version, arithmetic = f" {row.result.version}", row.result.arithmetic
    elif row.error:
        arithmetic = "not run"
    size = f"{row.input[0]}x{row.input[1]}, {row.cascade}"
    threads = str(row.threads or "auto")
    return [str(number), row.bundle, f"{row.runtime}{version}", threads, arithmetic, size]


def _stages(number: int, result: RowResult) -> list[list[str]]:
    columns = [*(result.stages[stage] for stage in STAGES), result.overall]
    return [
        [str(number) if name == "p50" else "", name]
        + [f"{getattr(figures, name):.2f}" for figures in columns]
        for name in _PERCENTILES
    ]


def _whole(number: int, row: Row, result: RowResult) -> list[str]:
    memory = _NONE if result.peak_memory is None else f"{result.peak_memory / 2**20:.0f}"
    return [
        str(number),
        f"{result.fps:.1f}",
        f"{result.cpu_seconds:.4f}",
        memory,
        f"{row.size / 1e6:.1f}",
        f"{result.first_frame:.2f}",
        _NONE if result.joules is None else f"{result.joules:.3f}",
        f"{100 * result.overall.spread:.1f}%" if len(result.rounds) > 1 else _NONE,
    ]


def _paper(name: str, times: dict[str, float]) -> list[str]:
    return [name, *(f"{times[part]:.2f}" for part in PAPER), f"{1e3 / times['overall']:.1f}"]


def _accuracy(evaluated: Sequence[tuple[int, RowResult]]) -> Grid:
    rows = []
    for number, result in evaluated:
        found = result.accuracy
        assert found is not None
        values = [found.frame_map, *(found.video_map[name] for name in VIDEO_THRESHOLDS)]
        rows.append([str(number), *(f"{value:.3f}" for value in values)])
    accuracy = evaluated[0][1].accuracy
    assert accuracy is not None
    return Grid(
        f"frame-mAP and video-mAP, from 0 to 1, on {accuracy.videos} "
        f"{plural('video', accuracy.videos)} of {accuracy.frames} frames in all",
        ("", "frame @0.5", *(f"video @{name}" for name in VIDEO_THRESHOLDS)),
        rows,
    )


def _under_load(loaded: Sequence[tuple[int, RowResult]]) -> Grid:
    rows = []
    for number, result in loaded:
        every_frame = result.under_load[0]
        for point in result.under_load:
            first = point is every_frame
            rows.append([
                str(number) if first else "",
                "each" if first else f"1 of {point.every}",
                f"{point.taken}/{point.frames}",
                *_against(point.frame_map, point.frame_map_full),
                *_against(point.video_map["0.5"], every_frame.video_map["0.5"]),
                f"{point.age_p50:.1f}",
                f"{point.age_longest:.1f}",
            ])  # fmt: skip
    return Grid(
        "under load: a board that takes a share of a camera's frames",
        (
            *("", "takes", "frames", "frame @0.5", "of full", "video @0.5", "of full"),
            *("age p50 ms", "longest"),
        ),
        rows,
        words=2,
    )


def _against(value: float, full: float) -> tuple[str, str]:
    return f"{value:.3f}", f"{100 * value / full:.1f}%" if full else _NONE


def _change(change: Change) -> list[str]:
    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    verdict = f"{change.verdict}, beyond the limit" if change.regression else change.verdict
    return [
        str(change.row + 1),
        verdict,
        shown(change.before, ".2f"),
        shown(change.after, ".2f"),
        shown(change.ratio, ".3f"),
        shown(change.p, ".3f"),
        change.stage or "",
    ]
