"""Measures all rows in turn, round after round, in the workers that ``measurement`` starts."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edgekit.benchmarks.protocol import Job, failure_of
from edgekit.benchmarks.report.figures import Measured, make_result, noise_of
from edgekit.benchmarks.report.report import Accuracy, FootageInfo, LoadPoint, Report
from edgekit.benchmarks.rows import RowPlan
from edgekit.benchmarks.workers import Worker, raise_failure
from edgekit.errors import EdgeKitError
from edgekit.measuring.energy import Meter
from edgekit.measuring.machine import Watch, describe_machine
from edgekit.measuring.operator_times import OperatorTimes
from edgekit.targets.registry import runtime_packages

__all__ = ["Harness", "HarnessSettings"]

_LOG = logging.getLogger(__name__)


class _MeasuredRow:
    """A row while it is measured."""

    def __init__(self, plan: RowPlan) -> None:
        self.plan = plan
        self.worker: Worker | None = None
        self.measured: list[Measured] = []
        self.accuracy: Accuracy | None = None
        self.under_load: list[LoadPoint] = []
        self.operators: OperatorTimes | None = None

    def finish(self) -> None:
        """Stores the results in the row."""
        if self.worker is not None and self.measured:
            row = self.plan.row
            row.result = make_result(
                self.worker.ready, self.measured, self.accuracy, self.under_load, self.operators
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessSettings:
    """Settings of a harness: its footage, rounds, meter and measures of accuracy.

    Attributes:
        source: File or folder that is played.
        footage: Size and length of the source.
        frames: Number of frames measured in each round.
        rounds: Number of passes of each row.
        meter: Energy meter; None if there is none.
        energy: Description of the meter, or the reason why there is none.
        truth: Folder of annotated videos, if accuracy is requested.
        loaded: Folder of annotated videos, if accuracy under load is requested.
        operators: Whether to measure the operators of each model.
        elsewhere: Whether devices measure the rows too, so that all of them may fail here.
    """

    source: str
    footage: FootageInfo
    frames: int
    rounds: int
    meter: Meter | None = None
    energy: str = "not measured"
    truth: Path | None = None
    loaded: Path | None = None
    operators: bool = False
    elsewhere: bool = False


class Harness:
    """Measures rows, each in its own process. A harness is used for one run.

    Args:
        plans: Rows to measure.
        settings: What is played and measured.

    Attributes:
        steps: Number of times that ``on_step`` will be called.
        on_step: Function called after each step.
    """

    def __init__(self, plans: Sequence[RowPlan], settings: HarnessSettings) -> None:
        self._lanes = [_MeasuredRow(plan) for plan in plans]
        self._settings = settings
        self._stop = threading.Event()
        self._missing: list[str] = []
        more = (settings.truth is not None) + (settings.loaded is not None) + settings.operators
        self.steps = len(plans) * (1 + settings.rounds + more)
        self.on_step: Callable[[], object] = lambda: None

    def stop(self) -> None:
        """Ends the run after the current measurement; may be called from a signal handler."""
        self._stop.set()

    def run(self) -> Report:
        """Measures all rows.

        Returns:
            The report; a failed row contains the reason. If it was stopped early, it has only the
            rows that were begun.

        Raises:
            EdgeKitError: Every row failed, and no device measures them; this is the error of the
                first one.
            KeyboardInterrupt: The run was stopped before anything was measured.
        """
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with contextlib.ExitStack() as stack:
            self._each(self._lanes, lambda lane: self._start(lane, stack))
            for turn in range(self._settings.rounds):
                # Each round begins with another row, so that no row is always first.
                first = turn % len(self._lanes)
                self._each([*self._lanes[first:], *self._lanes[:first]], self._play)
            if self._settings.operators:
                self._each(self._lanes, self._profile)
            if self._settings.truth is not None:
                self._each(self._lanes, self._measure_accuracy)
            if self._settings.loaded is not None:
                self._each(self._lanes, self._load)
            for lane in self._lanes:
                lane.finish()
        rows = [lane.plan.row for lane in self._lanes]
        rows = [row for row in rows if row.result or row.error]
        if not any(row.result for row in rows):
            if self._stop.is_set():
                raise KeyboardInterrupt
            if not self._settings.elsewhere:
                raise_failure(next(row.error for row in rows if row.error))
        report = Report(
            created=created,
            machine=describe_machine(sorted(runtime_packages())),
            footage=self._settings.footage,
            frames=self._settings.frames,
            energy=self._settings.energy,
            rows=rows,
            interrupted=self._stop.is_set(),
        )
        report.notes = noise_of(report) + self._missing
        meter = self._settings.meter
        if meter is not None and meter.trouble:
            report.notes.append(f"Energy is missing in part: {meter.trouble}")
        return report

    def _each(self, lanes: Sequence[_MeasuredRow], work: Callable[[_MeasuredRow], None]) -> None:
        """Does one step of every row; rows that fail are skipped from then on."""
        for lane in lanes:
            if self._stop.is_set():
                return
            if lane.plan.row.error is None:
                try:
                    work(lane)
                except EdgeKitError as error:
                    lane.plan.row.error = failure_of(error)
                    lane.measured = []
            self.on_step()

    def _start(self, lane: _MeasuredRow, stack: contextlib.ExitStack) -> None:
        row = lane.plan.row
        job = Job(
            bundle=str(lane.plan.bundle),
            source=self._settings.source,
            frames=self._settings.frames,
            runtime=row.runtime,
            threads=row.threads,
            arithmetic=row.arithmetic,
        )
        lane.worker = stack.enter_context(Worker(job))
        _LOG.info("Started %s", row.label)

    def _play(self, lane: _MeasuredRow) -> None:
        assert lane.worker is not None
        watch, meter = Watch(), self._settings.meter
        if meter is not None:
            meter.start()
        try:
            lap = lane.worker.play()
        finally:
            joules = meter.stop() if meter is not None else None
        _LOG.info(
            "Measured %s: %.2f s for %d frames",
            lane.plan.row.label,
            lap.seconds,
            self._settings.frames,
        )
        lane.measured.append((lap, watch.conditions(lap.whole_cpu_seconds), joules))

    def _profile(self, lane: _MeasuredRow) -> None:
        assert lane.worker is not None
        found = lane.worker.profile()
        lane.operators = found.operators
        if found.operators is None:
            self._missing.append(f"{lane.plan.row.label}: no operators. {found.reason}")

    def _measure_accuracy(self, lane: _MeasuredRow) -> None:
        assert lane.worker is not None
        try:
            lane.accuracy = lane.worker.accuracy(str(self._settings.truth)).accuracy
        except EdgeKitError as error:  # the times are still valid
            self._missing.append(f"{lane.plan.row.label}: no accuracy. {error.message}")

    def _load(self, lane: _MeasuredRow) -> None:
        assert lane.worker is not None
        try:
            lane.under_load = lane.worker.load(str(self._settings.loaded)).points
        except EdgeKitError as error:
            self._missing.append(f"{lane.plan.row.label}: nothing under load. {error.message}")
