"""Training in several processes, as torchrun starts them, with real gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgekit.errors import UsageError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.training.optimization.process_group import ALONE, process_group
from tests.training.data.clips import pictures

PROGRAMS = str(Path(__file__).with_name("programs.py"))
LONGEST = 500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clips of two classes in which a smooth picture moves."""
    videos = {}
    for label, name in enumerate(("a", "b")):
        pictures(tmp_path / name, 6)
        boxes = [[10 + 4 * n, 8, 50 + 4 * n, 56] for n in range(6)]
        tube = {"label": label, "start": 0, "end": 6, "boxes": boxes}
        videos[name] = {"width": 96, "height": 64, "frames": 6, "label": label, "tubes": [tube]}
    content = {"classes": ["left", "right"], "videos": videos}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def torchrun(count: int, *words: str, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    start += [f"--nproc-per-node={count}", f"--max-restarts={restarts}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    return subprocess.run(
        [*start, *words], capture_output=True, text=True, timeout=LONGEST, env=environment
    )


def test_two_processes_train_as_one(folder: Path) -> None:
    for count in (1, 2):
        done = torchrun(count, PROGRAMS, "train", str(folder))
        assert done.returncode == 0, done.stderr
    for accumulate in (1, 3):
        one, two = (
            torch.load(folder / f"{count}-{accumulate}.pt", weights_only=True) for count in (1, 2)
        )
        for expected, found in zip(one["losses"], two["losses"], strict=True):
            assert found == pytest.approx(expected, rel=2e-4)
        for name, value in one["weights"].items():
            torch.testing.assert_close(two["weights"][name], value, rtol=1e-3, atol=1e-4)


def test_norms_see_the_batch_of_all(folder: Path) -> None:
    done = torchrun(4, PROGRAMS, "norm", str(folder))
    assert done.returncode == 0, done.stderr


def test_a_killed_process_is_started_again_and_goes_on(folder: Path) -> None:
    done = torchrun(2, PROGRAMS, "dying_and_whole", str(folder), restarts=1)
    assert done.returncode == 0, done.stderr
    for name in ("whole", "dying"):
        lines = (folder / name / "history.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert [line["epoch"] for line in found] == [1, 2]
        assert all(len(line["held_out_frame_map"]) == 1 for line in found)
    for file in ("weights.safetensors", "last.safetensors"):
        whole, died = (
            load_checkpoint(folder / name / file).network.state_dict()
            for name in ("whole", "dying")
        )
        for name, value in whole.items():
            torch.testing.assert_close(died[name], value, rtol=1e-4, atol=1e-5)


def test_the_command_prints_once(folder: Path) -> None:
    words = ["-m", "edgekit", "train", "--root", str(folder), "--epochs", "1", "--images", "2"]
    words += ["--batch", "2", "--input-size", "64", "--from", "scratch", "--workers", "1"]
    done = torchrun(2, *words, "-o", str(folder / "run"), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["estimate"]["frames"] == 12
    assert done.stderr.count("2 clips with 12 frames and 12 boxes") == 1
    assert load_checkpoint(shown["weights"]).spec.classes == 2


def test_processes_share_a_batch_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match="multiple of the 3 processes; found 16") as caught:
        process_group(16).__enter__()
    assert caught.value.hint == "Use batch=18."
    monkeypatch.delenv("RANK")
    with process_group(16) as group:
        assert group is ALONE
