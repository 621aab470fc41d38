"""Defines the options of an evaluation, checked when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_files, check_types
from edgekit._parameters import argument, parameter
from edgekit.datasets.layouts import DATASETS
from edgekit.deploy.ssh import check_hosts
from edgekit.errors import UsageError
from edgekit.executors.opening import check_executor
from edgekit.files.output_paths import refuse_unwritable, refuse_unwritable_folder
from edgekit.linking.choices import COSTS, LINKS
from edgekit.linking.registry import make_linker
from edgekit.metrics.protocols import FRAMES, PROTOCOLS
from edgekit.targets.base import SessionOptions
from edgekit.targets.bundle_choice import Named

__all__ = ["REPORTS", "EvaluateOptions"]

REPORTS = (".html", ".json")
"""Endings of a report's name, which tell its format."""

_SESSION = SessionOptions()
_RUNTIME = fields(SessionOptions)


# Many attributes: one for each argument of ``evaluate``, as users know them.
@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """Options of an evaluation, checked; ``evaluate`` documents them.

    Raises:
        UsageError: An option has a value of the wrong type or out of range, or contradicts another.
    """

    bundle: Named = None
    root: Path | None = None
    dataset: str | None = None
    split: int = 1
    detections: Path | None = None
    link: str | None = None
    cost: str = "score"
    max_misses: int | None = None
    max_gap: float | None = None
    min_hits: int | None = None
    min_length: int = 5
    delay: int = 0
    delay_seconds: float | None = None
    protocol: str = "edgekit"
    frames: str = "all"
    top_k: int | None = None
    session: SessionOptions = _SESSION
    workers: int = 1
    cluster: str | None = None
    host: Sequence[str] = ()
    results: Path | None = None
    strict: bool = False
    report: Path | None = None
    clips: Path | None = None
    tracking: bool = False
    compare: Path | None = None
    save_detections: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("dataset", self.dataset, DATASETS)
        check_choice("link", self.link, LINKS)
        check_choice("cost", self.cost, COSTS)
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_choice("frames", self.frames, FRAMES)
        check_range("split", self.split, 1, 3)
        for name in ("max_misses", "min_hits", "top_k", "workers"):
            check_range(name, getattr(self, name), 1)
        for name in ("max_gap", "min_length", "delay", "delay_seconds"):
            check_range(name, getattr(self, name), 0)
        check_hosts(parameter("host"), self.host)
        if self.report is not None and self.report.suffix.lower() not in REPORTS:
            raise UsageError(
                f"Expected {parameter('report')} to end in {' or '.join(REPORTS)}; found "
                f"'{self.report.name}'.",
                hint=f"For example: {parameter('report', 'report.html')}",
            )
        self._check_linking()
        self._check_analysed()
        self._check_files()
        check_executor(self.workers, self.cluster)
        if self.detections is not None:
            self._check_saved()
        elif self.root is None:
            raise UsageError(
                "An evaluation needs annotated videos or saved detections; neither "
                f"{parameter('root')} nor {parameter('detections')} was given.",
                hint=f"For example: {parameter('dataset', 'json')} and "
                f"{parameter('root', 'clips')}",
            )

    def _check_saved(self) -> None:
        """Refuses options of a run if saved detections are scored instead."""
        given = {
            "host": bool(self.host),
            "cluster": self.cluster is not None,
            "top_k": self.top_k is not None,
            "split": self.split != 1,
            "strict": self.strict,
            **{each.name: getattr(self.session, each.name) != each.default for each in _RUNTIME},
        }
        for name in (name for name, is_given in given.items() if is_given):
            raise UsageError(
                f"{parameter('detections')} and {parameter(name)} cannot be used together.",
                hint=f"Leave out {parameter(name)}: nothing is run.",
            )
        if (
            self.bundle
            or self.dataset
            or self.root
            or self.save_detections
            or self.results
            or self.clips
        ):
            raise UsageError(
                f"{parameter('detections')} cannot be used together with a bundle or a dataset.",
                hint=f"Leave out {argument('bundle')}, {parameter('dataset')}, "
                f"{parameter('root')}, {parameter('results')}, {parameter('clips')} and "
                f"{parameter('save_detections')}.",
            )

    def _check_linking(self) -> None:
        """Refuses options that do not fit the linker, which links after hours of detection."""
        make_linker(
            self.link or PROTOCOLS[self.protocol].link,
            1,
            cost=self.cost,
            max_misses=self.max_misses,
            max_gap=self.max_gap,
            delay=self.delay,
            delay_seconds=self.delay_seconds,
        )

    def _check_files(self) -> None:
        """Refuses outputs that would replace an input or each other."""
        annotations = () if self.root is None else self.root.glob("annotations*.json")
        outputs = {"report": self.report, "save_detections": self.save_detections}
        check_files(outputs, (self.detections, self.compare, self.root, *annotations))

    def check_outputs(self) -> None:
        """Raises ``OutputError`` if a place of an output cannot be written to."""
        for path in filter(None, (self.report, self.save_detections)):
            refuse_unwritable(path)
        for path in filter(None, (self.clips, self.results)):
            refuse_unwritable_folder(path)

    def _check_analysed(self) -> None:
        for name in ("report", "clips"):
            if getattr(self, name) is not None and self.protocol == "published":
                raise UsageError(
                    f"{parameter(name)} cannot be used together with "
                    f"{parameter('protocol', 'published')}, which counts some boxes of a wrong "
                    "class as correct.",
                    hint=f"Leave out {parameter('protocol')} or {parameter(name)}.",
                )
