"""Tests the table of a fleet that is larger than the terminal."""

from __future__ import annotations

import json
import time

import pytest
from rich.cells import cell_len

from edgekit.cli.output.fleet_table import fleet_text
from edgekit.fleet.devices import Fleet

LONG = "factory-north/second-floor/packaging-line-7/camera-{}"


def message(*, ahead: float = 0.0, **values: object) -> bytes:
    date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + ahead))
    bundle = {"name": "korsal-lite0-ucf24", "sha256": "0a0fe0a65ec7"}
    usual = {"state": "online", "run": "a", "health": "ok", "rate": 25.0, "bundle": bundle}
    return json.dumps({**usual, "date": date, **values}).encode()


@pytest.fixture
def fleet() -> Fleet:
    """Thirty devices that are well, and some that are not; two names differ at their end only."""
    found = Fleet()
    for number in range(28):
        found.take(f"hall-{number}/camera", message(), retained=True)
    other = {"name": "korsal-lite0-ucf24", "sha256": "77777777ffff"}
    found.take(LONG.format(1), message(), retained=True)
    found.take(LONG.format(2), message(bundle=other), retained=True)
    found.take("offline", message(state="offline", reason="lost"), retained=True)
    found.take("停车场/カメラ", message(health="lost"), retained=True)
    found.take("tomorrow", message(ahead=86400), retained=True)
    return found


def test_devices_that_are_not_well_come_first_and_all_fit(fleet: Fleet) -> None:
    lines = fleet_text(fleet, "broker:1883", 80, 24).splitlines()
    assert len(lines) <= 24
    assert max(map(cell_len, lines)) <= 80
    assert [line.split()[0] for line in lines[2:5]] == ["offline", "tomorrow", "停车场/カメラ"]
    assert lines[-1].startswith("There is no room for ")
    assert lines[-1].endswith(" ok")
    assert "tomorrow       Its clock is wrong." in lines
    assert "停车场/カメラ  The source is lost." in lines


def test_shortened_names_differ(fleet: Fleet) -> None:
    lines = fleet_text(fleet, "broker:1883", 80, 100).splitlines()
    assert max(map(cell_len, lines)) <= 80
    first, second = (line.split() for line in lines if line.startswith("factory"))
    assert first[0].endswith("/camera-1")
    assert second[0].endswith("/camera-2")
    assert (first[-1][-8:], second[-1][-8:]) == ("0a0fe0a6", "77777777")
    assert sum(line.startswith("hall-") for line in lines) == 28


def test_a_narrow_terminal_has_whole_names(fleet: Fleet) -> None:
    text = fleet_text(fleet, "broker:1883", 50, 400)
    assert LONG.format(1) in text
    assert "korsal-lite0-ucf24 77777777" in text
    assert len(fleet_text(fleet, "broker:1883", 50, 20, "Lost.").splitlines()) <= 20
