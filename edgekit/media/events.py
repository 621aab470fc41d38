"""Results as JSON Lines, one event a line.

    {"type":"start", "schema":1, "source":…, "bundle":{"name":…,"sha256":…}, "classes":[…],
     "time":…}
    {"type":"frame", "index":n, "time":t, "detections":[{"box":[x1,y1,x2,y2],"class":c,"score":s}],
     "tubes":[{"id":k,"class":c,"score":s,"box":[…],"state":"observed|extrapolated","age":n}],
     "ms":{stage:…}, "age":…}
    {"type":"gap", "index":n, "reason":"dropped|reconnect|resize|seek", "frames":m}
    {"type":"tube", "id":k, "class":c, "score":s, "start":n, "end":m, "boxes":[…], "observed":[…]}
    {"type":"end", "frames":n, "dropped":m, "seconds":…, "stages":{…}, "age":{…}}

``class`` is an index into ``classes``; boxes are in source pixels; ``end`` is inclusive; ``index``
of a gap is that of the frame after it, and ``frames`` how many are missing before that; ``ms`` has
the stages before ``emit``, which is not over when the line is written. ``time`` of the start is
the date and time in UTC, of a frame the seconds since the start of the source. ``age``, on live
sources only, is the milliseconds from the reading of a frame to the start of its inference; at the
end, percentiles and mean of that.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import msgspec

from edgekit._files import output_error, writing
from edgekit.media.sink import Sink
from edgekit.runtime.clocks import StageTimes
from edgekit.runtime.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["SCHEMA", "EventsSink", "age_json", "stages_json"]

SCHEMA = 1


class EventsSink(Sink):
    """Writes events to a file or stream, each line whole.

    Args:
        target: A file, which is replaced; or an open binary stream, which stays open.
        score: Detections count from this score up.

    Raises:
        OutputError: By any call: the file cannot be written. It then ends with the last whole line.
        BrokenPipeError: By any call: nobody reads the stream any more.
    """

    def __init__(self, target: Path | str | IO[bytes], *, score: float = 0.3) -> None:
        self._score = score
        self._path = Path(target) if isinstance(target, (str, Path)) else None
        self._stream: Any = target if self._path is None else None
        self._encoder = msgspec.json.Encoder()

    def start(self, info: RunInfo) -> None:
        """Opens the file and writes the ``start`` event."""
        if self._path is not None:
            with writing(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self._path.open("wb", buffering=0)
        self._write(
            {
                "type": "start",
                "schema": SCHEMA,
                "source": info.source,
                "bundle": {"name": info.bundle, "sha256": info.bundle_sha256},
                "classes": info.classes,
                "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            }
        )

    def gap(self, gap: Gap) -> None:
        """Writes a ``gap`` event."""
        event = {"type": "gap", "index": gap.index, "reason": gap.reason, "frames": gap.frames}
        self._write(event)

    def frame(self, result: FrameResult) -> None:
        """Writes a ``frame`` event."""
        detections = [
            {"box": _box(box), "class": label, "score": _score(score)}
            for box, label, score in result.chosen(self._score)
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
        self._write(
            {
                "type": "tube",
                "id": tube.id,
                "class": tube.label,
                "score": _score(tube.score),
                "start": tube.start,
                "end": tube.end,
                "boxes": [_box(box) for box in tube.boxes.tolist()],
                "observed": tube.observed.tolist(),
            }
        )

    def end(self, summary: RunSummary) -> None:
        """Writes the ``end`` event."""
        self._write(
            {
                "type": "end",
                "frames": summary.frames,
                "dropped": summary.dropped,
                "seconds": round(summary.seconds, 3),
                "stages": stages_json(summary.stages),
                **age_json(summary.age),
            }
        )

    def close(self) -> None:
        """Closes the file."""
        if self._path is not None and self._stream is not None:
            self._stream.close()

    def _write(self, event: dict[str, Any]) -> None:
        line = self._encoder.encode(event) + b"\n"
        if self._path is None:
            self._stream.write(line)
            self._stream.flush()
            return
        try:
            _write_whole(self._stream, line)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise output_error(error, self._path) from error


def stages_json(stages: dict[str, StageTimes]) -> dict[str, dict[str, float]]:
    """Stage times, in milliseconds to a microsecond, as they stand in JSON."""
    return {
        stage: {name: round(getattr(times, name), 3) for name in StageTimes.__slots__}
        for stage, times in stages.items()
    }


def age_json(age: StageTimes | None) -> dict[str, dict[str, float]]:
    """``{"age": …}`` of a live run, in milliseconds; of any other, nothing."""
    if age is None:
        return {}
    names = ("p50", "p90", "p99", "mean")
    return {"age": {name: round(getattr(age, name), 3) for name in names}}


def _write_whole(stream: IO[bytes], line: bytes) -> None:
    """Writes the line to an unbuffered file; takes back what did not fit as a whole."""
    written = 0
    try:
        while written < len(line):
            written += stream.write(line[written:])
    except OSError:
        if written:
            with contextlib.suppress(OSError):
                os.ftruncate(stream.fileno(), stream.tell() - written)
        raise


def _box(box: list[float]) -> list[float]:
    return [round(value, 2) for value in box]


def _score(score: float) -> float:
    return round(score, 5)
