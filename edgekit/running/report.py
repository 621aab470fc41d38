"""Builds the report of a run, for each source and in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from edgekit.errors import EdgeKitError, OutputError
from edgekit.media.sinks.events import age_json, skipped_json, stages_json
from edgekit.media.sinks.health import SinkHealth
from edgekit.pipeline.results import GateSummary, RunSummary
from edgekit.running.load_cost import ProcessedShare, processed_share
from edgekit.running.sinks import TubeTally

__all__ = ["RunReport", "SourceReport", "loss_of", "summary_json"]


@dataclass(frozen=True, slots=True, eq=False)
class SourceReport:
    """Result of one source.

    Attributes:
        source: Name of the source.
        bundle: Name and SHA-256 of the bundle; of the last one if the run changed it.
        error: Error that ended the source, or left it without frames at the end; None without one.
        summary: Summary of the run.
        tally: Numbers of tubes and gaps, and the best tubes.
        source_fps: Frames per second of the source, or fewer where a limit leaves out frames; None
            for a source that waits for the network.
        sinks: Health of the outputs that work in a thread of their own.
        files: Files and folders that were written, by the name of their option.
    """

    source: str
    bundle: tuple[str, str]
    error: EdgeKitError | None
    summary: RunSummary
    tally: TubeTally
    source_fps: float | None
    sinks: tuple[SinkHealth, ...]
    files: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """Returns the report as ``edgekit run --json`` prints it."""
        tally, share = self.tally, self.share
        return {
            "source": self.source,
            "bundle": dict(zip(("name", "sha256"), self.bundle, strict=True)),
            **({"error": self.error.message} if self.error else {}),
            **summary_json(self.summary),
            **({} if share is None else share.to_json()),
            "gaps": tally.gaps,
            "reconnects": tally.reconnects,
            "tubes_found": tally.tubes,
            "tubes": tally.best(),
            "sinks": [_sink_json(sink) for sink in self.sinks],
            "codecs": self.codecs,
            "files": dict(self.files),
        }

    @property
    def codecs(self) -> dict[str, str]:
        """Names of the video codecs, by the name of their output."""
        return {sink.name: sink.codec for sink in self.sinks if sink.codec}

    @property
    def share(self) -> ProcessedShare | None:
        """Share of the frames that were processed; None for a source that waits for the network."""
        if self.source_fps is None:
            return None
        summary = self.summary
        return processed_share(summary.frames, self.tally.missed, self.source_fps, summary.fps)


@dataclass(frozen=True, slots=True, eq=False)
class RunReport:
    """Result of a run.

    Attributes:
        sources: Result of each source.
        seconds: Wall-clock seconds of the whole run.
        cpu_quota: Share of a core's time that the control group allows; None without a limit.
    """

    sources: tuple[SourceReport, ...]
    seconds: float
    cpu_quota: float | None

    @property
    def frames(self) -> int:
        """Number of frames of all sources that went through the detector."""
        return sum(report.summary.frames for report in self.sources)

    @property
    def dropped(self) -> int:
        """Number of frames of all sources that were lost, or came too fast."""
        return sum(report.summary.dropped for report in self.sources)

    @property
    def fps(self) -> float:
        """Frames per second of all sources together."""
        return self.frames / self.seconds

    @property
    def interrupted(self) -> bool:
        """Whether a source was stopped before its end."""
        return any(report.summary.interrupted for report in self.sources)

    @property
    def error(self) -> EdgeKitError | None:
        """Worst error of a source or output while the others continued; None without errors."""
        errors = [report.error for report in self.sources if report.error]
        health = (sink for report in self.sources for sink in report.sinks)
        errors += [OutputError(words) for sink in health if (words := loss_of(sink))]
        return max(errors, key=lambda error: error.exit_status, default=None)

    def to_json(self) -> dict[str, object]:
        """Returns the report as ``edgekit run --json`` prints it."""
        limits = {} if self.cpu_quota is None else {"cpu_quota": round(self.cpu_quota, 3)}
        if len(self.sources) == 1:
            return {**self.sources[0].to_json(), **limits}
        sources = [report.to_json() for report in self.sources]
        return {
            "bundle": sources[0]["bundle"],
            "frames": self.frames,
            "dropped": self.dropped,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "interrupted": self.interrupted,
            **limits,
            "sources": sources,
        }


def summary_json(summary: RunSummary) -> dict[str, object]:
    """Returns the figures of a run in JSON form; stage times are in milliseconds."""
    gate = summary.motion_gate
    return {
        "frames": summary.frames,
        "dropped": summary.dropped,
        **skipped_json(summary.skipped),
        "seconds": round(summary.seconds, 3),
        "fps": round(summary.fps, 2),
        "interrupted": summary.interrupted,
        "stages": stages_json(summary.stages),
        **age_json(summary.age),
        **({} if gate is None else {"motion_gate": _gate_json(gate)}),
    }


def loss_of(sink: SinkHealth) -> str | None:
    """Describes an output's losses and their reason, as sentences; None if nothing went wrong."""
    if not (sink.lost or sink.error):
        return None
    if not sink.lost:
        return f"{sink.name}: {sink.error}"
    words = (
        f"{sink.name}: {sink.lost} of {sink.written + sink.lost} frames, gaps and tubes were lost."
    )
    if sink.error:
        return f"{words} {sink.error}"
    if sink.last_error:
        return f"{words} It went on after this error: {sink.last_error}"
    return f"{words} It is slower than the source."


def _gate_json(gate: GateSummary) -> dict[str, object]:
    threshold = None if gate.threshold is None else round(gate.threshold, 2)
    return {"threshold": threshold, "wakes": gate.wakes}


def _sink_json(sink: SinkHealth) -> dict[str, object]:
    return {name: value for name, value in asdict(sink).items() if name != "codec"}
