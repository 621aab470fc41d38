"""Measures how ``edgekit run`` reacts to an RTSP server that is killed, frozen or damaged.

Run it as ``python -m edgekit.benchmarks.suites.faults.stream_faults``; it takes a quarter of an
hour. The server is GStreamer's, in its own process on loopback. It prints Markdown. The length of
an outage depends only on the server's start and the watchdog's waits. The times therefore show the
recovery and not the speed of a network.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.benchmarks.suites.support.streams import Relay, RtspServer

__all__ = ["FAULTS", "FaultOutcome", "main", "play", "problems_of", "size_of"]

_PATIENCE = 3.0
_CALM = 8.0
"""Seconds between two faults; a source that is lost sooner counts as flapping."""

_LONGEST = 120.0
_WITHOUT_PYAV = (
    "import sys; sys.modules['av'] = None; "
    "from edgekit.cli import main; sys.exit(main(sys.argv[1:]))"
)


class FaultOutcome(NamedTuple):
    """Result of a run under faults.

    Attributes:
        faults: Number of faults that were caused.
        reconnects: Number of reconnect gaps among the events.
        longest: Longest time without a frame, in seconds.
        frames: Number of frames that went through the detector.
        problems: Errors in the events; empty if there are none.
        before: Resident MiB, threads and open descriptors after the first fault.
        after: Resident MiB, threads and open descriptors after the last fault.
    """

    faults: int
    reconnects: int
    longest: float
    frames: int
    problems: list[str]
    before: tuple[float, int, int]
    after: tuple[float, int, int]


def _kill(server: RtspServer, relay: Relay) -> None:
    server.kill()
    time.sleep(1)
    server.start()


def _freeze(server: RtspServer, relay: Relay) -> None:
    with server.frozen():
        time.sleep(2 * _PATIENCE)


def _damage(server: RtspServer, relay: Relay) -> None:
    relay.damage = 0.3
    time.sleep(_PATIENCE)
    relay.damage = 0.0


def _leave(server: RtspServer, relay: Relay) -> None:
    """Does nothing: measures a run without faults."""


FAULTS: dict[str, Callable[[RtspServer, Relay], None]] = {
    "killed and restarted": _kill,
    "frozen": _freeze,
    "garbage": _damage,
    "left alone": _leave,
}
"""Faults, by their names in the table."""


def play(
    fault: str, times: int, *options: str, opencv: bool = False, calm: float = _CALM
) -> FaultOutcome:
    """Plays a stream, causes faults in it, and checks the events.

    Args:
        fault: Name of the fault, one of ``FAULTS``.
        times: Number of faults; each one is over when frames have arrived again.
        options: Additional options for ``edgekit run``.
        opencv: Whether OpenCV reads the stream, as if PyAV were not installed.
        calm: Seconds to wait after each fault.
    """
    start = ["-c", _WITHOUT_PYAV] if opencv else ["-m", "edgekit"]
    with tempfile.TemporaryDirectory() as folder, RtspServer() as server:
        events = Path(folder, "events.jsonl")
        with Relay(server.port) as relay:
            source = f"rtsp://user:secret@127.0.0.1:{relay.port}/video"
            command = [sys.executable, *start, "run", "--source", source, "--events", str(events)]
            command += ["--patience", str(_PATIENCE), *options]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
                try:
                    _wait_for_frames(events, 25, run)
                    sizes = []
                    for _ in range(times):
                        FAULTS[fault](server, relay)
                        _wait_for_frames(events, 5, run)
                        time.sleep(calm)
                        sizes.append(size_of(run.pid))
                    run.send_signal(signal.SIGTERM)
                    said = b"".join(run.communicate(timeout=_LONGEST)).decode()
                finally:
                    run.kill()
        text = events.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    problems = problems_of(lines)
    if "secret" in said + text:
        problems.append("the password is in the output")
    if run.returncode != 130 or "Traceback" in said:
        problems.append(f"exit status {run.returncode}: {said}")
    times_of = [line["time"] for line in lines if line["type"] == "frame"]
    return FaultOutcome(
        times,
        sum(line["type"] == "gap" and line["reason"] == "reconnect" for line in lines),
        max(later - sooner for sooner, later in itertools.pairwise(times_of)),
        len(times_of),
        problems,
        sizes[0],
        sizes[-1],
    )


def problems_of(lines: list[dict[str, Any]]) -> list[str]:
    """Returns violations in the events, which must be whole, ordered, and have all gaps."""
    kinds = [line["type"] for line in lines]
    found = []
    if kinds[0] != "start" or kinds[-1] != "end" or kinds.count("end") != 1:
        found.append("there is not one start at the beginning and one end at the end")
    expected, last, gaps = 0, -1.0, []
    for line in lines:
        if line["type"] == "gap":
            gaps.append(line)
        elif gaps and line["type"] in ("frame", "end"):
            index, counted = gaps[-1]["index"], sum(gap["frames"] for gap in gaps)
            if index - expected != counted:
                found.append(f"the gap before {index} counts {counted} frames")
            expected, gaps = index, []
        if line["type"] == "frame":
            if line["index"] != expected:
                found.append(f"frame {line['index']} stands where {expected} was expected")
            if line["time"] <= last:
                found.append(f"the time of frame {line['index']} runs back")
            expected, last = line["index"] + 1, line["time"]
    return found


def _wait_for_frames(events: Path, count: int, run: subprocess.Popen[bytes]) -> None:
    """Waits until the run has written ``count`` more frames."""
    begin = _frames_in(events)
    give_up = time.monotonic() + _LONGEST
    while _frames_in(events) < begin + count:
        if run.poll() is not None or time.monotonic() > give_up:
            run.kill()
            said = b"".join(run.communicate()).decode()
            raise SystemExit(f"No frame came for {_LONGEST:g} seconds, or the run ended:\n{said}")
        time.sleep(0.1)


def _frames_in(events: Path) -> int:
    return events.read_text().count('"type":"frame"') if events.exists() else 0


def size_of(process: int) -> tuple[float, int, int]:
    """Returns resident MiB, threads and open descriptors of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    resident = int(fields["VmRSS"].split()[0]) / 1024
    return resident, int(fields["Threads"]), len(list(Path(f"/proc/{process}/fd").iterdir()))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Disturbs the RTSP server of an edgekit run.")
    parser.add_argument(
        "--times",
        type=int,
        default=20,
        help="number of kills; slow faults occur a quarter as often",
    )
    parser.add_argument(
        "--only", choices=list(FAULTS), help="measure only this row, with each reader"
    )
    arguments = parser.parse_args()
    print(
        "| reader | the server is | times | reconnects | longest without a frame, s | frames "
        "| events | MiB | threads | descriptors |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for opencv in (False, True):
        for fault in FAULTS:
            if arguments.only not in (None, fault):
                continue
            seldom = fault in ("frozen", "garbage")
            times = max(1, arguments.times // 4) if seldom else arguments.times
            found = play(fault, times, opencv=opencv)
            sizes = zip(found.before, found.after, strict=True)
            cells = (
                "OpenCV" if opencv else "PyAV",
                fault,
                found.faults,
                found.reconnects,
                f"{found.longest:.1f}",
                found.frames,
                "; ".join(found.problems[:3]) or "valid",
                *(f"{one:.0f} to {other:.0f}" for one, other in sizes),
            )
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
