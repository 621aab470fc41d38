from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from edgekit.fleet.devices import Fleet


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def fleet(clock):
    return Fleet(clock)


def status(*, ago=0.0, **values):
    date = datetime.now(timezone.utc) - timedelta(seconds=ago)
    usual = {"state": "online", "run": "a", "health": "ok", "host": "board", "every": 10.0}
    return json.dumps({**usual, "date": date.isoformat(), **values}).encode()


def states(fleet):
    return {report.name: report.state for report in fleet.reports()}


def test_a_device_is_well_until_its_messages_stay_away(fleet, clock):
    fleet.take("door", status(), retained=False)
    assert states(fleet) == {"door": "ok"}
    clock.now += 30
    assert states(fleet) == {"door": "ok"}
    clock.now += 1
    assert states(fleet) == {"door": "stale"}
    fleet.take("door", status(), retained=False)
    assert states(fleet) == {"door": "ok"}


def test_a_stored_message_is_as_old_as_it_says(fleet):
    fleet.take("new", status(ago=20), retained=True)
    fleet.take("old", status(ago=40), retained=True)
    fleet.take("future", status(ago=-600), retained=True)
    fleet.take("undated", status(date="yesterday"), retained=True)
    fleet.take("naive", status(date="2026-01-01T00:00:00"), retained=True)
    assert states(fleet) == {
        "new": "ok",
        "old": "stale",
        "future": "stale",
        "undated": "stale",
        "naive": "stale",
    }
    # The clock of a board without a battery does not matter once it is heard.
    fleet.take("future", status(ago=-600), retained=False)
    assert states(fleet)["future"] == "ok"


def test_a_broker_does_not_store_when_it_lost_a_device(fleet, clock):
    lost = status(ago=9000, state="offline", reason="lost")
    fleet.take("roof", lost, retained=True)
    assert [report.seconds for report in fleet.reports()] == [None]
    fleet.take("roof", lost, retained=False)
    clock.now += 7
    fleet.take("roof", lost, retained=True)  # this machine has connected again
    assert [report.seconds for report in fleet.reports()] == [7.0]
    assert states(fleet) == {"roof": "dead"}


@pytest.mark.parametrize(
    ("values", "state", "reason"),
    [
        ({"state": "offline", "reason": "lost"}, "dead", "lost its connection"),
        ({"state": "offline", "reason": "ended"}, "ended", ""),
        ({"state": "offline", "reason": "failed", "error": "It broke."}, "failed", "It broke."),
        ({"state": "offline", "reason": "failed"}, "failed", "ended it: unknown"),
        ({"health": "starting"}, "starting", ""),
        ({"health": "lost"}, "degraded", "source is lost"),
        ({"health": "stalled"}, "degraded", "gives no frames"),
        ({"failing": ["video"]}, "degraded", "output video fails"),
        ({"refused": "It is broken."}, "degraded", "refused a bundle: It is broken."),
        ({"taken": 0.49}, "degraded", "49% of the frames"),
        ({"taken": 0.5}, "ok", ""),
    ],
)
def test_states_and_their_reasons(fleet, values, state, reason):
    fleet.take("door", status(**values), retained=False)
    (report,) = fleet.reports()
    assert report.state == state
    assert reason in " ".join(report.reasons)
    assert bool(report.reasons) == bool(reason)


def test_a_restart_is_no_rivalry_and_the_late_will_of_the_earlier_run_is_ignored(fleet):
    fleet.take("door", status(run="a"), retained=True)
    fleet.take("door", status(run="b"), retained=False)
    fleet.take("door", status(run="a", state="offline", reason="lost"), retained=False)
    assert states(fleet) == {"door": "ok"}


def test_two_devices_of_one_name_are_reported(fleet, clock):
    for run, host in (("a", "left"), ("b", "right"), ("a", "left")):
        fleet.take("door", status(run=run, host=host), retained=False)
    (report,) = fleet.reports()
    assert report.state == "degraded"
    assert "Two runs use this name, on left and right." in report.reasons
    clock.now += 61
    fleet.take("door", status(run="a", host="left"), retained=False)
    assert states(fleet) == {"door": "ok"}


def test_foreign_messages_and_too_many_devices_are_counted(fleet):
    fleet.take("lamp", b"ON", retained=True)
    for number in range(1003):
        fleet.take(f"d{number}", status(), retained=False)
    assert (fleet.foreign, fleet.surplus, len(fleet.reports())) == (1, 3, 1000)


def test_a_device_without_a_name_has_that_of_its_host(fleet):
    fleet.take("", status(), retained=False)
    assert states(fleet) == {"board": "ok"}
