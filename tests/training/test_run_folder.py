"""The files in the folder of a training run."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import BadInputError, OutputError
from edgekit.training.result import Epoch
from edgekit.training.run_folder import (
    HISTORY,
    LAST,
    SETTINGS,
    STATE,
    WEIGHTS,
    add_to_history,
    begin,
    may_resume,
)
from tests.training.data.clips import of


def numbers(out: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (out / HISTORY).read_text().splitlines()]


def test_the_history_grows_by_one_line_an_epoch(tmp_path: Path) -> None:
    out = tmp_path / "run"
    begin(out, {"seed": 1}, None)
    assert (out / HISTORY).read_text() == ""
    add_to_history(out, Epoch(1, {"total": 2.5, "hm": 1.0}))
    add_to_history(out, Epoch(2, {"total": 0.1 + 0.2, "hm": 0.0}, 0.01, (0.5, 0.25)))
    first, second = (json.loads(line) for line in (out / HISTORY).read_text().splitlines())
    assert first == {"epoch": 1, "total": 2.5, "hm": 1.0, "rate": 0.0}
    assert (second["total"], second["rate"]) == (0.1 + 0.2, 0.01)
    assert second["held_out_frame_map"] == [0.5, 0.25]


@given(told=st.integers(0, 5), finished=st.integers(0, 5), cut=st.booleans())
def test_a_resumed_run_keeps_its_finished_epochs(
    tmp_path_factory, told: int, finished: int, cut: bool
) -> None:
    """The state may be older than the history, and the last line may be cut off."""
    out = tmp_path_factory.mktemp("run")
    for number in range(1, told + 1):
        add_to_history(out, Epoch(number, {"total": 1.0}))
    if cut:
        with (out / HISTORY).open("a") as file:
            file.write('{"epoch": 6, "tot')
    begin(out, {}, finished)
    assert numbers(out) == [*range(1, min(told, finished) + 1)]
    add_to_history(out, Epoch(finished + 1, {"total": 1.0}))
    assert numbers(out)[-1] == finished + 1


def test_the_settings_are_json(tmp_path: Path) -> None:
    values = of()
    begin(tmp_path, asdict(values), None)
    found = json.loads((tmp_path / SETTINGS).read_text())
    assert found["size"] == [128, 128]
    assert found["precision"] == "fp32"
    assert found.pop("schema") == 1
    assert found.keys() == asdict(values).keys()


@pytest.mark.parametrize("line", ['{"epoch": 1e999}', "[" * 100_000, "[]", '{"epoch": {}}', "\x1b"])
def test_a_line_that_is_no_epoch_is_left_out(tmp_path: Path, line: str) -> None:
    (tmp_path / HISTORY).write_text(f"{line}\n" + '{"epoch": 1}\n')
    begin(tmp_path, {}, 1)
    assert numbers(tmp_path) == [1]


def test_a_history_without_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / HISTORY).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OutputError, match="1099511627776 bytes"):
        begin(tmp_path, {}, 1)


@pytest.mark.parametrize("target", ["nowhere", "run", "file", "/proc/self"])
def test_a_link_to_no_folder_for_runs_is_reported_before_the_clips_are_prepared(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "run").symlink_to(target)
    with pytest.raises(OutputError, match=r"leads nowhere|not a folder|no permission"):
        may_resume(tmp_path / "run", resume=False, force=True)


@pytest.mark.parametrize("name", [HISTORY, SETTINGS, LAST])
@pytest.mark.parametrize("target", ["other", "nowhere", LAST, "/dev/full", "pipe"])
def test_links_among_the_files_of_a_run_lead_nowhere_else(
    tmp_path: Path, name: str, target: str
) -> None:
    other = tmp_path / "other"
    other.write_text("theirs")
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / "run"
    out.mkdir()
    begin(out, {}, None)
    (out / name).unlink(missing_ok=True)
    (out / name).symlink_to(tmp_path / target if target != LAST else name)
    with contextlib.suppress(OutputError):  # for a pipe and a device
        begin(out, {}, None)
    with contextlib.suppress(OutputError):
        add_to_history(out, Epoch(1, {"total": 1.0}))
    assert other.read_text() == "theirs"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("target", ["other", "nowhere", HISTORY, "/dev/full", "pipe"])
def test_a_link_that_takes_the_place_of_the_history_during_the_run_is_not_followed(
    tmp_path: Path, target: str
) -> None:
    other = tmp_path / "other"
    other.write_text("theirs\n")
    os.mkfifo(tmp_path / "pipe")
    begin(tmp_path / "run", {}, None)
    (tmp_path / "run" / HISTORY).unlink()
    place = HISTORY if target == HISTORY else tmp_path / target
    (tmp_path / "run" / HISTORY).symlink_to(place)
    with contextlib.suppress(OutputError):  # for a pipe and a device
        add_to_history(tmp_path / "run", Epoch(1, {"total": 1.0}))
    assert other.read_text() == "theirs\n"
    assert not (tmp_path / "nowhere").exists()


def test_a_run_without_a_state_can_only_be_replaced(tmp_path: Path) -> None:
    begin(tmp_path, {}, None)  # as a run does whose loss is soon infinite, or that is interrupted
    with pytest.raises(OutputError, match="which ended before it was saved") as caught:
        may_resume(tmp_path, resume=False, force=False)
    assert caught.value.hint == "Add force=True to replace it, or name another place."
    with pytest.raises(BadInputError, match="nothing to resume") as refused:
        may_resume(tmp_path, resume=True, force=False)
    assert "To begin one, use force=True instead." in refused.value.hint
    assert not may_resume(tmp_path, resume=False, force=True)
    (tmp_path / STATE).touch()
    with pytest.raises(OutputError, match="holds an earlier run") as caught:
        may_resume(tmp_path, resume=False, force=False)
    assert caught.value.hint.startswith("Add resume=True to go on with it, force=True")
    assert may_resume(tmp_path, resume=True, force=False)


def test_a_replaced_run_cannot_go_on_in_place_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (STATE, LAST, WEIGHTS):
        (tmp_path / name).touch()
    add_to_history(tmp_path, Epoch(1, {"total": 1.0}))
    begin(tmp_path, {}, None)
    assert not numbers(tmp_path)
    assert not (tmp_path / LAST).exists()
    assert (tmp_path / WEIGHTS).exists(), "the new run may begin with them"
    with pytest.raises(BadInputError, match="nothing to resume"):
        may_resume(tmp_path, resume=True, force=False)
    # As torchrun starts the processes again after one of them has failed in the first epoch.
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert not may_resume(tmp_path, resume=False, force=True)
    (tmp_path / STATE).touch()
    begin(tmp_path, {}, 0)
    assert may_resume(tmp_path, resume=False, force=True)


@pytest.mark.parametrize("saved", [True, False])
def test_processes_that_start_again_do_not_go_on_with_a_run_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    """They started because the first ones were told that there is an earlier run."""
    begin(tmp_path, {}, None)
    if saved:
        (tmp_path / STATE).touch()
    os.utime(tmp_path / SETTINGS, (0, 0))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(OutputError, match="holds an earlier run"):
        may_resume(tmp_path, resume=False, force=False)
    assert not may_resume(tmp_path, resume=False, force=True)
    begin(tmp_path, {}, None)
    assert not may_resume(tmp_path, resume=False, force=False)
    (tmp_path / STATE).touch()
    assert may_resume(tmp_path, resume=False, force=False)
