from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import msgspec
import pytest

import edgekit
from edgekit.measuring import machine
from edgekit.measuring.machine import Watch, describe_machine
from tests.waiting import LIMIT, wait_until


def test_the_machine_is_described():
    found = describe_machine()
    assert found.processor
    assert found.cores == os.cpu_count()
    assert found.packages["numpy"]
    assert found.packages["edgekit"] == edgekit.__version__
    assert describe_machine(["rich", "no-such-package"]).packages.keys() - found.packages == {
        "rich"
    }
    assert found.same_as(msgspec.structs.replace(found, python="4.0"))
    assert not found.same_as(msgspec.structs.replace(found, cores=found.cores + 1))


def _burn(until: float) -> None:
    while time.monotonic() < until:
        pass


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux")
def test_the_work_of_others_is_seen_and_ones_own_is_not():
    process = multiprocessing.get_context("spawn").Process(
        target=_burn, args=(time.monotonic() + LIMIT,), daemon=True
    )
    process.start()
    try:
        watch = Watch()
        wait_until(lambda: watch.conditions(0.0).others)
        assert watch.conditions(1e6).others == 0
    finally:
        process.terminate()
        process.join()


def test_a_machine_that_reports_nothing_gives_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_text", lambda path: "")
    monkeypatch.setattr(machine, "_numbers", lambda pattern: iter(()))
    conditions = Watch().conditions(1.0)
    assert conditions == machine.Conditions(None, None, None, None, None)
    assert describe_machine().governor is None


def test_throttling_is_counted_from_the_start_of_the_watch(monkeypatch):
    counts = iter([[4.0, 1.0], [7.0, 1.0]])

    def numbers(pattern):
        return iter(next(counts)) if "throttle" in pattern else iter(())

    monkeypatch.setattr(machine, "_text", lambda path: "")
    monkeypatch.setattr(machine, "_numbers", numbers)
    assert Watch().conditions(0.0).throttled == 3
