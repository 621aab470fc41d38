"""Checks reports of others: an earlier run, or a device, may have written anything."""

from __future__ import annotations

from edgekit.benchmarks.report.report import PAPER, Report, Row, RowResult
from edgekit.pipeline.stage_timer import STAGES

__all__ = ["VIDEO_THRESHOLDS", "check_complete", "check_times", "short_notes"]

VIDEO_THRESHOLDS = ("0.2", "0.5", "0.75", "0.5:0.95")
"""Thresholds of overlap at which every report has the video-mAP."""

_MOST_ROWS, _MOST_ROUNDS, _LONGEST = 1000, 1000, 1e9
_MOST_NOTES, _LONGEST_NOTE = 20, 500


def check_times(report: Report) -> None:
    """Raises ``ValueError`` for times that no run has, or more of them than are compared."""
    if len(report.rows) > _MOST_ROWS:
        raise ValueError(f"it has {len(report.rows)} rows; expected at most {_MOST_ROWS}")
    for row in report.rows:
        if row.result is not None:
            _check_result(row, row.result)


def _check_result(row: Row, result: RowResult) -> None:
    rounds = len(result.rounds)
    if not 1 <= rounds <= _MOST_ROUNDS:
        raise ValueError(f"{row.label} has {rounds} rounds; expected 1 to {_MOST_ROUNDS}")
    for lap in result.rounds:
        if not 0 < lap.p50 < _LONGEST:
            raise ValueError(f"{row.label} has a round of {lap.p50} ms")
    operators = result.operators.operators if result.operators else []
    times = [figures.p50 for figures in (*result.stages.values(), result.overall)]
    for time in (*times, *(operator.ms for operator in operators)):
        if not 0 <= time < _LONGEST:
            raise ValueError(f"{row.label} has a time of {time} ms")


def check_complete(report: Report) -> None:
    """Raises ``ValueError`` if a report lacks what its tables show."""
    check_times(report)
    for row in report.rows:
        result = row.result
        if result is None:
            continue
        lacking = [*(set(STAGES) - result.stages.keys()), *(PAPER.keys() - result.paper.keys())]
        maps = [result.accuracy.video_map] if result.accuracy else []
        maps += [point.video_map for point in result.under_load]
        lacking += [
            f"video-mAP at {at}" for found in maps for at in VIDEO_THRESHOLDS if at not in found
        ]
        if lacking:
            raise ValueError(f"{row.label} has no {sorted(lacking)[0]}")
        if not all(0 < time < _LONGEST for time in result.paper.values()):
            raise ValueError(f"{row.label} has a time of {min(result.paper.values())} ms")
        if not any(result.rounds[0].frame_ms):
            raise ValueError(f"{row.label} has no times of frames")


def short_notes(notes: list[str], of: str) -> list[str]:
    """Returns the notes of a report, with their origin; those without end are shortened."""
    return [f"{of}: {note[:_LONGEST_NOTE]}" for note in notes[:_MOST_NOTES]]
