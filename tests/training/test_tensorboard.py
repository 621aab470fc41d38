"""Event files for TensorBoard, read back by TensorBoard itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekit.cli import main
from edgekit.errors import MissingDependencyError, OutputError
from edgekit.training.result import Epoch
from edgekit.training.tensorboard import require_tensorboard, scalars


def epoch(number: int, loss: float) -> Epoch:
    return Epoch(number, {"total": loss, "hm": 1.0}, 0.001, (0.25, 0.75))


def read(folder: Path, name: str) -> dict[int, float]:
    module = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(module, reason="the package tensorboard is not installed")
    found = events.EventAccumulator(str(folder))
    found.Reload()
    return {event.step: event.value for event in found.Scalars(name)}


def test_a_resumed_run_continues_its_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the package tensorboard is not installed")
    folder = tmp_path / "logs" / "run"
    with scalars(folder, 0) as write:
        for number in (1, 2, 3):
            write(epoch(number, 4.0))
    with scalars(folder, 1) as write:  # the state was saved after epoch 1
        write(epoch(2, 0.5))
    assert read(folder, "loss/total") == {1: 4.0, 2: 0.5}
    assert read(folder, "frame-mAP@0.5/2") == {1: 0.75, 2: 0.75}
    assert read(folder, "rate") == pytest.approx({1: 0.001, 2: 0.001})


def test_an_unwritable_folder_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the package tensorboard is not installed")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"), scalars(tmp_path / "file" / "run", 0):
        pass


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    with scalars(None, 0) as write:
        write(epoch(1, 1.0))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match="logdir needs the package") as caught:
        require_tensorboard()
    assert "[tensorboard]" in caught.value.hint


def test_the_command_writes_the_folder_of_the_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the package tensorboard is not installed")
    from tests.training.data.clips import annotated

    root = annotated(tmp_path / "clips")
    words = ["--root", str(root), "--epochs", "2", "--images", "2", "--batch", "2", "--name", "n"]
    words += ["--input-size", "64", "--from", "scratch", "-o", str(tmp_path / "run"), "-q"]
    assert main(["train", *words, "--workers", "0", "--logdir", str(tmp_path / "logs")]) == 0
    assert list(read(tmp_path / "logs" / "n", "loss/total")) == [1, 2]
