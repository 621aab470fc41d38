"""The training loop with a tiny network."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from edgekit._progress import SILENT
from edgekit.errors import BadInputError, CheckpointError, ResourceError
from edgekit.training.data.loading import TrainingSamples
from edgekit.training.data.preparing import ClipSource, prepared_clips
from edgekit.training.estimate import activation_bytes, estimate, seconds_left
from edgekit.training.optimization.memory_shortage import naming_a_smaller_batch
from edgekit.training.optimization.process_group import ALONE
from edgekit.training.trainer import Trainer
from tests.training.data.clips import of, pictures, truth
from tests.training.optimization.programs import Tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("clips") / "a", 6)


def trainer_of(folder: Path, **changes: object) -> Trainer:
    values = of(size=(64, 64), images=8, epochs=2, **changes)
    source = ClipSource([(0, truth(folder, 6))], 1.0, values.size, None, 1, 1)
    with prepared_clips(source, ALONE, SILENT, print) as clips:
        samples = TrainingSamples(clips.index, clips.places, 2, values)
    torch.manual_seed(0)
    return Trainer(Tiny(), frozenset(), samples, device="cpu")


class _Stop(Exception):
    pass


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_run_goes_on_from_any_step(folder: Path, tmp_path: Path, step: int) -> None:
    whole = trainer_of(folder)
    expected = list(whole.run())
    parts, taken = trainer_of(folder), 0

    def save_and_stop() -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            parts.save(tmp_path / "state.pt")
            raise _Stop

    with pytest.raises(_Stop):
        list(parts.run(save_and_stop))
    again = trainer_of(folder)
    assert again.resume(tmp_path / "state.pt") == step
    assert list(again.run()) == expected[(step - 1) // 2 :]
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(again.average.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1"}, {"epoch": 3}, {"step": -1}, {"step": 10**30}, {"schedule": 0.5},
        {"network": {}}, {"network": 3}, {"average": {"a": torch.zeros(3)}}, {"optimizer": {}},
        {"optimizer": []}, {"best": 3}, {"best": (1, 2, 3)}, {"best": (1, ("x",))},
        {"sums": [1]}, {"sums": {"total": {}}},
    ],
)  # fmt: skip
def test_a_state_with_other_values_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    trainer = trainer_of(folder)
    trainer.save(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save({**state, **change}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt is not the state of"):
        trainer.resume(tmp_path / "state.pt")


@pytest.mark.parametrize("name", ["exp_avg", "exp_avg_sq", "step", "betas", "eps"])
def test_an_optimizer_that_does_not_fit_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    trainer = trainer_of(folder)
    trainer.save(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    weights = next(trainer._network.parameters())
    moments = {key: torch.zeros_like(weights) for key in ("exp_avg", "exp_avg_sq")}
    state["optimizer"]["state"][0] = {"step": torch.tensor(1.0), **moments}
    torch.save(state, tmp_path / "state.pt")
    trainer.resume(tmp_path / "state.pt")
    if name in ("betas", "eps"):
        state["optimizer"]["param_groups"][0][name] = "x"
    else:
        state["optimizer"]["state"][0][name] = torch.zeros(7)
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="the optimizer has"):
        trainer.resume(tmp_path / "state.pt")


@pytest.mark.parametrize("kind", ["pipe", "device", "bomb", "text"])
def test_what_is_no_file_of_a_state_is_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.pt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "text":
        path.write_text("state")
    else:
        torch.save({"network": torch.zeros(1 << 20)}, tmp_path / "plain")
        with zipfile.ZipFile(tmp_path / "plain") as plain, zipfile.ZipFile(path, "w", 8) as packed:
            for entry in plain.namelist():
                packed.writestr(entry, plain.read(entry))
    with pytest.raises(CheckpointError, match=r"state\.pt is not the state of"):
        trainer_of(folder).resume(path)


def test_the_loss_falls(folder: Path) -> None:
    first, *_, last = trainer_of(folder, rate=1e-2).run()
    assert last.losses["total"] < first.losses["total"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_other_precisions_give_nearly_the_same(folder: Path, precision: str) -> None:
    expected = [epoch.losses["total"] for epoch in trainer_of(folder).run()]
    found = [epoch.losses["total"] for epoch in trainer_of(folder, precision=precision).run()]
    assert found == pytest.approx(expected, rel=0.02)
    assert found != expected


def test_a_loss_that_is_not_finite_is_a_sentence(folder: Path) -> None:
    trainer = trainer_of(folder)
    with torch.no_grad():
        trainer._network.heads["wh"].bias.fill_(float("nan"))
    with pytest.raises(BadInputError, match="The loss became nan in epoch 1") as caught:
        list(trainer.run())
    assert "Lower rate" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "processes", "words"),
    [
        ({"batch": 16}, 1, "Try batch=8 accumulate=2:"),
        ({"batch": 16, "accumulate": 3}, 1, "Try batch=8 accumulate=6:"),
        ({"batch": 12}, 4, "Try batch=4 accumulate=3:"),
        ({"batch": 2}, 1, "Try a smaller input: input_size=64"),
    ],
)
def test_out_of_memory_names_the_batch_to_try(
    changes: dict[str, object], processes: int, words: str
) -> None:
    def shortage() -> Iterator[None]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with (
        pytest.raises(ResourceError, match="The GPU has too little memory for batch=") as caught,
        naming_a_smaller_batch(of(**changes), processes),
    ):
        shortage()
    assert caught.value.hint.startswith(words)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("other"), "other"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            "The GPU has too little memory for batch=4",
        ),
        (RuntimeError("CUDA error: out of memory"), "The GPU has too little memory for batch=4"),
        (RuntimeError("bad_alloc"), "This machine has too little memory for batch=4"),
    ],
)
def test_a_shortage_of_memory_is_told_from_other_errors(error: Exception, message: str) -> None:
    with pytest.raises(Exception, match=message), naming_a_smaller_batch(of()):
        raise error


def test_activations_are_what_autograd_keeps() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.ReLU(), torch.nn.ReLU())
    # Each ReLU keeps its result; the convolution keeps the input, which is a leaf.
    assert activation_bytes(network, (2, 3, 10, 10)) == 2 * (2 * 8 * 10 * 10 * 4)


def test_the_estimate(folder: Path) -> None:
    trainer = trainer_of(folder)
    found = estimate(trainer._samples.clips, Tiny(), of(size=(64, 64)), workers=2)
    assert (found.clips, found.frames, found.boxes) == (1, 6, 5)
    assert (found.samples, found.steps) == (60, 15)
    assert found.memory is not None
    assert "1 clip with 6 frames and 5 boxes; 60 samples in 15 steps, 0." in str(found)


def test_time_follows_the_area_of_the_input() -> None:
    """Epochs 1 and 2 of 4 have inputs of 96x96, epochs 3 and 4 of 128x128; 5 steps each."""
    assert seconds_left(of(epochs=4), 0, 2, 9.0) == pytest.approx(9 * (3 + 5) + 16 * 10)
    assert seconds_left(of(epochs=4), 3, 4, 16.0) == pytest.approx(16)
