"""Runs ``edgekit run`` in a guest, and waits for what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.vm.machine import Machine, Result

EVENTS = "/tmp/events.jsonl"
BASE = "edgekit run --bundle /opt/bundle --threads 1"

PROGRAMS = Path(__file__).resolve().parent / "programs"


def put_programs(guest: Machine) -> None:
    """Copies the cameras and other programs of the tests to /opt/programs in the guest."""
    for path in PROGRAMS.glob("*.py"):
        guest.put(f"/opt/programs/{path.name}", path.read_bytes())


def run_edgekit(guest: Machine, options: str, *, status: int | None = 0) -> Result:
    """Runs EdgeKit with the small bundle until it ends."""
    return guest.run(f"{BASE} {options}", seconds=1200, status=status)


def events_in(text: str, kind: str = "") -> list[dict[str, Any]]:
    """Returns the events among the lines of an output, of one type or all."""
    lines = [line for line in text.splitlines() if line.startswith('{"type"')]
    return [event for event in map(json.loads, lines) if kind in ("", event["type"])]


class BackgroundRun:
    """An ``edgekit run`` in the guest that goes on until it is stopped.

    Args:
        guest: Machine to run it on.
        options: Options beside bundle, threads and events.
    """

    def __init__(self, guest: Machine, options: str) -> None:
        command = f"{BASE} {options} --events {EVENTS}"
        self._guest = guest
        self._number = guest.start(f"echo $$ > /tmp/run.pid; exec {command}", seconds=7200)

    def wait_for(self, pattern: str, count: int, *, seconds: float = 900) -> None:
        """Waits until this many lines of the events match a pattern of ``grep -E``."""
        found = f"$(grep -cE '{pattern}' {EVENTS} 2>/dev/null || true)"
        self._guest.run(
            f"for i in $(seq {int(seconds * 2)}); do [ 0{found} -ge {count} ] && exit 0; "
            f"sleep 0.5; done; tail -c 2000 {EVENTS}; exit 1",
            seconds=seconds * 2,
        )

    def frames(self) -> int:
        """Number of frame events so far."""
        found = self._guest.run(f'grep -c \'"type":"frame"\' {EVENTS} || true').output
        return int(found or 0)

    def stop(self) -> Result:
        """Ends the run as Ctrl-C does; returns its exit status and messages."""
        self._guest.run("kill -INT $(cat /tmp/run.pid)")
        return self._guest.result(self._number, seconds=900)

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """All events so far, of one type or all."""
        return events_in(self._guest.run(f"cat {EVENTS}").output, kind)
