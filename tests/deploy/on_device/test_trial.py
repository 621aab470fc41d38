"""Tests when a release on trial is kept or taken back, second by second."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from edgekit.deploy.on_device import trial
from edgekit.deploy.on_device.connection import WorkstationConnection
from edgekit.deploy.on_device.releases import Releases
from edgekit.deploy.on_device.service import Health, Service

OK = Health("ok", 10.0, "ok, 10.0 frames/s")
SLOW = Health("ok", 4.9, "ok, 4.9 frames/s")
ILL = Health("degraded", 10.0, "degraded, 10.0 frames/s")
SILENT = Health("silent", None, "the page does not answer")
RUNS = {"ActiveState": "active", "SubState": "running", "NRestarts": "0"}

History = Callable[[float], Health | None]
"""Health after so many seconds on trial; None if the service has ended."""


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Quiet(WorkstationConnection):
    """A workstation that goes on waiting for the verdict."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), io.BytesIO())

    def hung_up(self) -> bool:
        return False


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a release on trial after one that was well; returns whether it passed, when, and why."""

    def call(
        history: History, *, before: Health = OK, watch: float = 60.0
    ) -> tuple[bool, float, str]:
        clock, releases = Clock(), Releases(tmp_path)
        monkeypatch.setattr(trial, "time", clock)
        for number in (1, 2):
            (tmp_path / f"releases/{number}").mkdir(parents=True, exist_ok=True)
        releases.switch(1)
        steps: list[str] = []

        def since() -> float:
            return clock.now - 1000.0

        def health(address: str) -> Health:
            if "restart" not in steps:
                return before
            return history(since()) or Health("dead", None, "")

        def show() -> dict[str, str]:
            if history(since()) is None:
                return {**RUNS, "SubState": "auto-restart", "Result": "exit-code"}
            return RUNS

        service = SimpleNamespace(
            unit="edgekit.service", path=tmp_path / "unit", trial_path=tmp_path / "trial",
            control=lambda word, *more: steps.append(word), health=health, show=show,
            write=lambda path, text: None, log=lambda: "",
        )  # fmt: skip
        found = trial.try_release(
            cast(Service, service), releases, 2, Quiet(), seconds=watch, user=""
        )
        assert releases.current() == (2 if found.passed else 1)
        assert steps.count("restart") == (1 if found.passed else 2)
        return found.passed, since(), found.words

    return call


def test_a_release_that_does_as_well_is_kept(judge) -> None:
    assert judge(lambda now: OK if now >= 5 else SILENT) == (True, 65.0, OK.words)
    assert judge(lambda now: OK, watch=10)[:2] == (True, 11.0)
    assert judge(lambda now: Health("ok", 5.0, ""))[0], "half of the frames are enough"


def test_a_release_that_ends_is_taken_back_at_once(judge) -> None:
    assert judge(lambda now: None)[:2] == (False, 1.0)
    passed, seconds, words = judge(lambda now: OK if now < 30 else None)
    assert (passed, seconds) == (False, 30.0)
    assert words == "the service ended by itself: systemd reports exit-code"


@pytest.mark.parametrize("worse", [SLOW, ILL, SILENT])
def test_a_release_that_does_worse_is_taken_back(judge, worse: Health) -> None:
    # It gets a minute to start, and 20 seconds if it started well.
    passed, seconds, words = judge(lambda now: worse)
    assert (passed, seconds) == (False, 60.0)
    assert words == f"{worse.words}; before: {OK.words}"
    assert judge(lambda now: OK if now <= 10 else worse)[:2] == (False, 30.0)
    assert judge(lambda now: OK if now <= 50 else worse)[:2] == (False, 61.0)
    assert judge(lambda now: worse, watch=120)[:2] == (False, 120.0)


def test_a_short_dip_is_forgiven(judge) -> None:
    assert judge(lambda now: SLOW if 20 <= now < 39 else OK)[:2] == (True, 61.0)


def test_a_release_after_one_that_did_badly(judge) -> None:
    assert judge(lambda now: ILL, before=ILL)[0]
    assert judge(lambda now: SILENT, before=Health("dead", None, ""))[0]
    assert not judge(lambda now: SILENT, before=ILL)[0]
