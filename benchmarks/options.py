"""Defines the options of a benchmark, checked when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_files, check_types
from edgekit._parameters import parameter
from edgekit.benchmarks.report.comparison import LEAST_ROUNDS
from edgekit.deploy.ssh import check_hosts
from edgekit.errors import UsageError
from edgekit.targets.bundle_choice import Named
from edgekit.targets.choices import ARITHMETICS
from edgekit.targets.registry import runtime_names

__all__ = ["BenchOptions"]


# Many attributes: one for each argument of ``bench``, as users know them.
@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Options of a benchmark, checked; ``edgekit.benchmarks.bench.bench`` documents them.

    Raises:
        UsageError: An option has a value of the wrong type or out of range, or contradicts another.
    """

    bundles: Sequence[Named] = ()
    source: str | None = None
    frames: int = 100
    rounds: int = 5
    runtime: Sequence[str] = ()
    threads: Sequence[int] = ()
    arithmetic: Sequence[str] = ()
    sweep: Sequence[str] = ()
    checkpoint: Path | None = None
    accuracy: bool = False
    under_load: bool = False
    operators: bool = False
    host: Sequence[str] = ()
    annotations: Path | None = None
    energy: str | None = None
    compare: Path | None = None
    fail_over: float | None = None
    force: bool = False
    tune: bool = False
    csv: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    history: Path | None = None

    @property
    def outputs(self) -> dict[str, Path]:
        """Files to write, by the name of their option."""
        named = {"csv": self.csv, "markdown": self.markdown, "html": self.html}
        return {name: path for name, path in named.items() if path is not None}

    def __post_init__(self) -> None:
        check_types(self)
        check_range("frames", self.frames, 10)
        check_range("rounds", self.rounds, 1)
        check_range("fail_over", self.fail_over, 0)
        for runtime in self.runtime:
            check_choice("runtime", runtime, runtime_names())
        for count in self.threads:
            check_range("threads", count, 0)
        for kind in self.arithmetic:
            check_choice("arithmetic", kind, ARITHMETICS)
        self._check_hosts()
        self._check_rounds()
        source = None if self.source is None else Path(self.source)
        check_files(self.outputs, (self.compare, source))

    def _check_hosts(self) -> None:
        """Refuses names that are none, and what only this machine can do."""
        check_hosts(parameter("host"), self.host)
        for name in ("tune", "operators"):
            if self.host and getattr(self, name):
                raise UsageError(
                    f"{parameter('host')} and {parameter(name)} cannot be used together.",
                    hint=f"Run edgekit bench with {parameter(name)} on the device itself.",
                )

    def _check_rounds(self) -> None:
        """Refuses a verdict without an earlier report, or with too few rounds."""
        if self.fail_over is not None and self.compare is None:
            raise UsageError(
                f"{parameter('fail_over')} needs an earlier report to compare with, and none was "
                "named.",
                hint=f"Name one: {parameter('compare', 'FILE.json')}",
            )
        if self.force and self.compare is None:
            raise UsageError(
                f"{parameter('force')} works only with {parameter('compare')}.",
                hint=f"Add {parameter('compare', 'FILE.json')}, or leave out {parameter('force')}.",
            )
        for name in ("fail_over", "tune"):
            if getattr(self, name) not in (None, False) and self.rounds < LEAST_ROUNDS:
                raise UsageError(
                    f"{parameter(name)} needs at least {LEAST_ROUNDS} rounds; "
                    f"{parameter('rounds')} is {self.rounds}.",
                    hint=f"Use {parameter('rounds', LEAST_ROUNDS)} or more.",
                )
