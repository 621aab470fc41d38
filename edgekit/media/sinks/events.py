"""Writes results as JSON Lines, one event per line.

    {"type":"start", "schema":1, "source":…, "bundle":{"name":…,"sha256":…}, "classes":[…],
     "time":…}
    {"type":"frame", "index":n, "time":t, "detections":[{"box":[x1,y1,x2,y2],"class":c,"score":s}],
     "tubes":[{"id":k,"class":c,"score":s,"box":[…],"state":"observed|extrapolated","age":n}],
     "ms":{stage:…}, "age":ms}
    {"type":"gap", "index":n, "reason":"dropped|reconnect|resize|seek|fps|still", "frames":m}
    {"type":"tube", "id":k, "class":c, "score":s, "start":n, "end":m, "boxes":[…], "observed":[…]}
    {"type":"bundle", "index":n, "outcome":"running|refused", "bundle":{"name":…,"sha256":…},
     "classes":[…], "error":…, "time":…}
    {"type":"lost", "events":n}
    {"type":"end", "frames":n, "dropped":m, "skipped":{reason:k}, "seconds":…, "stages":{…},
     "age":{…}, "time":…, "error":…}

``class`` is an index into ``classes``. Boxes are in pixels of the source. ``end`` of a tube is
inclusive. ``index`` of a gap is the index of the frame after it. ``frames`` of a gap is the number
of frames missing before that frame for this reason. ``skipped`` exists if frames were left out on
purpose, and counts them by reason. ``ms`` has the stages before ``emit``, which has not ended when
the line is written. ``time`` of the start event is the date and time of the start in UTC, by the
clock at the time of writing. ``time`` of a frame is the seconds since the start of the source.
``age`` of a tube is the number of frames since its last detection. ``age`` of a frame, on live
sources only, is the milliseconds from its capture to the start of its inference. ``age`` of the end
event has percentiles and the mean of these, and its ``error`` is the error that ended the run, if
there was one. ``lost``, on live sources only, is the number of events missing before the next one.
If a run has several sources, each event has ``source_index``, from 0, after its ``type``. After
rotation, a new file repeats the start event with ``part``, from 1. ``bundle`` says that the run
changed to another bundle, whose first frame is ``index``; or that it refused that bundle, with the
reason in ``error``. ``classes`` are those of the bundle that processes the frame ``index``, in both
cases. A later start event has the bundle of that time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import IO, Any

import msgspec

from edgekit._checks import as_flag, as_whole, required_path, unless_none
from edgekit._printable import printable_json
from edgekit.media.sinks._lines_file import LinesFile
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.pipeline.stage_timer import StageTimes
from edgekit.runtime.types import Tube

__all__ = ["SCHEMA", "EventsSink", "age_json", "skipped_json", "stages_json", "tube_json"]

SCHEMA = 1


@single_run
class EventsSink(Sink):
    """Writes events to a file or stream, always as complete lines.

    Args:
        target: Path of a file, or an open binary stream, which stays open.
        live: Whether to continue an existing file, without its last line if that is incomplete, and
            to sync to disk about once per second. Otherwise an existing file is replaced.
        rotate: Size in bytes after which a new file begins, with its own ``start`` event; None for
            no limit.
        keep: Number of older files to keep, as ``NAME.1.jsonl``, ``NAME.2.jsonl`` and so on.
        source_index: Index of the source within the run, from 0; None if the run has one source.

    Raises:
        OutputError: The file cannot be written; any call may raise it. The file then ends with the
            last complete line, and later calls may succeed.
        BrokenPipeError: The stream has no reader any more; any call may raise it.
    """

    def __init__(
        self,
        target: Path | str | IO[bytes],
        *,
        live: bool = False,
        rotate: int | None = None,
        keep: int = 5,
        source_index: int | None = None,
    ) -> None:
        self._path = None if hasattr(target, "write") else required_path("target", target)
        self._stream: Any = target if self._path is None else None
        self._make = partial(
            LinesFile,
            self._start_line,
            live=as_flag("live", live),
            rotate=unless_none(as_whole, "rotate", rotate, least=1),
            keep=as_whole("keep", keep, least=0),
        )
        self._file: LinesFile | None = None
        self._encoder = msgspec.json.Encoder()
        self._started: dict[str, Any] = {}
        number = unless_none(as_whole, "source_index", source_index, least=0)
        self._marks = {} if number is None else {"source_index": number}

    @property
    def needs_pictures(self) -> bool:
        """False: a line holds numbers only."""
        return False

    def start(self, info: RunInfo) -> None:
        """Opens the file and writes the ``start`` event."""
        self._started = {
            "type": "start",
            "schema": SCHEMA,
            "source": info.source,
            "bundle": {"name": info.bundle, "sha256": info.bundle_sha256},
            "classes": info.classes,
        }
        self._began = time.monotonic()
        if self._path is None:
            self._write(self._start(0))
        else:
            self._file = self._make(self._path)

    def gap(self, gap: Gap) -> None:
        """Writes a ``gap`` event."""
        event = {"type": "gap", "index": gap.index, "reason": gap.reason, "frames": gap.frames}
        self._write(event)

    def frame(self, result: FrameResult) -> None:
        """Writes a ``frame`` event."""
        detections = [
            {"box": _box(box), "class": label, "score": _score(score)}
            for box, label, score in result.chosen()
        ]
        tubes = [
            {
                "id": tube.id,
                "class": tube.label,
                "score": _score(tube.score),
                "box": _box(tube.box),
                "state": "observed" if tube.observed else "extrapolated",
                "age": tube.age,
            }
            for tube in result.tubes
        ]
        event = {
            "type": "frame",
            "index": result.frame.index,
            "time": round(result.frame.time, 4),
            "detections": detections,
            "tubes": tubes,
            "ms": {stage: round(value, 3) for stage, value in result.ms.items()},
        }
        if result.age is not None:
            event["age"] = round(result.age, 3)
        self._write(event)

    def tube(self, tube: Tube) -> None:
        """Writes a ``tube`` event."""
        self._write({"type": "tube", **tube_json(tube)})

    def bundle(self, change: BundleChange) -> None:
        """Writes a ``bundle`` event; later ``start`` events name the bundle that runs."""
        bundle = {"name": change.name, "sha256": change.sha256}
        if change.error is None:
            self._started = {**self._started, "bundle": bundle, "classes": change.classes}
        self._write(
            {
                "type": "bundle",
                "index": change.index,
                "outcome": change.outcome,
                "bundle": bundle,
                "classes": change.classes,
                **({} if change.error is None else {"error": change.error}),
                "time": _date(),
            }
        )

    def lost(self, count: int) -> None:
        """Writes a ``lost`` event."""
        self._write({"type": "lost", "events": count})

    def end(self, summary: RunSummary) -> None:
        """Writes the ``end`` event."""
        self._write(
            {
                "type": "end",
                "frames": summary.frames,
                "dropped": summary.dropped,
                **skipped_json(summary.skipped),
                "seconds": round(summary.seconds, 3),
                "stages": stages_json(summary.stages),
                **age_json(summary.age),
                "time": _date(),
                **({} if summary.error is None else {"error": summary.error}),
            }
        )

    def reopen(self) -> bool:
        """Returns True if there is room on the disk again.

        Raises:
            OutputError: The disk is still full.
        """
        if self._file is not None:
            self._file.check_room()
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _start_line(self, part: int) -> bytes:
        return self._line(self._start(part))

    def _start(self, part: int) -> dict[str, object]:
        """Returns the ``start`` event of a file, with the start of the run by the present clock."""
        # The clock of a board without a battery may have been set since the run began.
        event = {**self._started, "time": _date(time.monotonic() - self._began)}
        return {**event, "part": part} if part else event

    def _write(self, event: dict[str, object]) -> None:
        if self._stream is None:
            assert self._file is not None
            self._file.add(self._line(event))
        else:
            self._stream.write(self._line(event))
            self._stream.flush()

    def _line(self, event: dict[str, object]) -> bytes:
        line = self._encoder.encode({"type": event["type"], **self._marks, **event})
        return printable_json(line) + b"\n"


def tube_json(tube: Tube) -> dict[str, object]:
    """Returns the JSON form of a tube that has ended."""
    return {
        "id": tube.id,
        "class": tube.label,
        "score": _score(tube.score),
        "start": tube.start,
        "end": tube.end,
        "boxes": [_box(box) for box in tube.boxes.tolist()],
        "observed": tube.observed.tolist(),
    }


def stages_json(stages: dict[str, StageTimes]) -> dict[str, dict[str, float]]:
    """Returns the JSON form of stage times, in milliseconds rounded to a microsecond."""
    return {
        stage: {name: round(getattr(times, name), 3) for name in StageTimes.__slots__}
        for stage, times in stages.items()
    }


def age_json(age: StageTimes | None) -> dict[str, dict[str, float]]:
    """Returns ``{"age": …}`` in milliseconds for a live run, else an empty dictionary."""
    if age is None:
        return {}
    names = ("p50", "p90", "p99", "mean")
    return {"age": {name: round(getattr(age, name), 3) for name in names}}


def skipped_json(skipped: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Returns ``{"skipped": …}`` if frames were left out on purpose, else an empty dictionary."""
    return {"skipped": dict(skipped)} if skipped else {}


def _date(ago: float = 0.0) -> str:
    """Returns the date and time of so many seconds ago in UTC, by the present clock."""
    moment = datetime.now(timezone.utc) - timedelta(seconds=ago)
    return moment.isoformat(timespec="milliseconds")


def _box(box: list[float]) -> list[float]:
    return [round(value, 2) for value in box]


def _score(score: float) -> float:
    return round(score, 5)
