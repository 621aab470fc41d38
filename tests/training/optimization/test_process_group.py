"""Training in several processes, as torchrun starts them, with real gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgekit.errors import UsageError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.training.optimization.process_group import ALONE, process_group
from tests.training.data.clips import pictures
from tests.training.optimization.programs import train

pytestmark = pytest.mark.long

PROGRAMS = str(Path(__file__).with_name("programs.py"))
LONGEST = 500


def write_clips(folder: Path) -> None:
    """Writes clips of two classes in which a smooth picture moves."""
    videos = {}
    for label, name in enumerate(("a", "b")):
        pictures(folder / name, 6)
        boxes = [[10 + 4 * n, 8, 50 + 4 * n, 56] for n in range(6)]
        tube = {"label": label, "start": 0, "end": 6, "boxes": boxes}
        videos[name] = {"width": 96, "height": 64, "frames": 6, "label": label, "tubes": [tube]}
    content = {"classes": ["left", "right"], "videos": videos}
    (folder / "annotations.json").write_text(json.dumps(content))


def torchrun(count: int, *words: str, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    start += [f"--nproc-per-node={count}", f"--max-restarts={restarts}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    return subprocess.run(
        [*start, *words], capture_output=True, text=True, timeout=LONGEST, env=environment
    )


@pytest.fixture(scope="module")
def trained(once: Callable[..., Path]) -> Path:
    """The folder in which two processes of torchrun, one of which is killed, trained four times.

    It has their standard output and error. All trainings share one start, because each process
    takes seconds to import torch.
    """

    def make(folder: Path) -> None:
        write_clips(folder)
        done = torchrun(2, PROGRAMS, "trainings", str(folder), restarts=1)
        assert done.returncode == 0, done.stderr
        (folder / "output").write_text(done.stdout)
        (folder / "error").write_text(done.stderr)

    return once("torchrun", make)


def test_two_processes_train_as_one(trained: Path, tmp_path: Path) -> None:
    write_clips(tmp_path)
    train(tmp_path)
    for accumulate in (1, 3):
        one, two = (
            torch.load(folder / f"{count}-{accumulate}.pt", weights_only=True)
            for folder, count in ((tmp_path, 1), (trained, 2))
        )
        for expected, found in zip(one["losses"], two["losses"], strict=True):
            assert found == pytest.approx(expected, rel=2e-4)
        for name, value in one["weights"].items():
            torch.testing.assert_close(two["weights"][name], value, rtol=1e-3, atol=1e-4)


def test_norms_see_the_batch_of_all_processes_until_one_ends(tmp_path: Path) -> None:
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path.cwd()),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    command = [sys.executable, PROGRAMS, "norms_of_four", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_killed_process_is_started_again_and_goes_on(trained: Path, own_networks: None) -> None:
    for name in ("whole", "dying"):
        lines = (trained / name / "history.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert [line["epoch"] for line in found] == [1, 2]
        assert all(len(line["held_out_frame_map"]) == 1 for line in found)
    for file in ("weights.safetensors", "last.safetensors"):
        whole, died = (
            load_checkpoint(trained / name / file).network.state_dict()
            for name in ("whole", "dying")
        )
        for name, value in whole.items():
            torch.testing.assert_close(died[name], value, rtol=1e-4, atol=1e-5)


def test_the_command_prints_once(trained: Path) -> None:
    shown = json.loads((trained / "output").read_text())
    assert shown["estimate"]["frames"] == 12
    assert (trained / "error").read_text().count("2 clips with 12 frames and 12 boxes") == 1
    assert load_checkpoint(trained / "command" / Path(shown["weights"]).name).spec.classes == 2


def test_processes_share_a_batch_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match="multiple of the 3 processes; found 16") as caught:
        process_group(16).__enter__()
    assert caught.value.hint == "Use batch=18."
    monkeypatch.delenv("RANK")
    with process_group(16) as group:
        assert group is ALONE
