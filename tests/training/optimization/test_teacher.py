"""Soft targets of a trained network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgekit.datasets.annotations import read_annotations
from edgekit.errors import CheckpointError
from edgekit.models.checkpoints import load_checkpoint, save_checkpoint
from edgekit.models.registry import build
from edgekit.training.fit import FitOptions, fit
from edgekit.training.optimization.losses import Batch
from edgekit.training.optimization.teacher import distillation_loss, load_teacher
from tests.training.data.clips import annotated, of


def saved(path: Path, classes: list[str], channels: int = 6, **metadata: object) -> Path:
    torch.manual_seed(5)
    network = build("res18", classes=len(classes), channels=channels)
    with torch.no_grad():
        network.hm[2].bias.copy_(torch.arange(len(classes)))
    values = {"classes": classes, **metadata}
    save_checkpoint(path, network, {name: json.dumps(value) for name, value in values.items()})
    return path


def outputs(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(2, count, 8, 8) for name, count in (("hm", 3), ("wh", 2), ("reg", 2))}


def batch() -> Batch:
    cells = torch.tensor([[3, 40], [9, 0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    nothing = torch.zeros(2, 2, 2)
    return Batch(torch.zeros(2, 6, 32, 32), torch.zeros(2, 3, 8, 8), cells, nothing, nothing, mask)


def test_the_loss_is_zero_only_where_both_agree() -> None:
    mine, other, three = outputs(1), outputs(2), torch.tensor(3.0)
    same = distillation_loss(mine, mine, batch(), three)
    assert [value.item() for value in same.values()] == [0, 0]
    apart = distillation_loss(mine, other, batch(), three)
    assert all(value > 0 for value in apart.values())
    half = distillation_loss(mine, other, batch(), 2 * three)
    for name, value in apart.items():
        torch.testing.assert_close(2 * half[name], value)


def test_steps_along_the_loss_lead_to_the_teacher() -> None:
    taught, mine = outputs(3), outputs(4)
    for value in mine.values():
        value.requires_grad_()
    optimizer = torch.optim.Adam(mine.values(), 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        losses = distillation_loss(mine, taught, batch(), torch.tensor(3.0))
        sum(losses.values()).backward()
        optimizer.step()
    found, expected = torch.sigmoid(mine["hm"]), torch.sigmoid(taught["hm"])
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)
    torch.testing.assert_close(mine["wh"][0, :, 5, 0], taught["wh"][0, :, 5, 0], rtol=0, atol=0.1)


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "teacher.safetensors", ["run", "sit", "Jump"])
    teacher = load_teacher(path, ["jump", "run"], of())
    x = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        expected = load_checkpoint(path).network(x)
    found = teacher(x)
    torch.testing.assert_close(found["hm"], expected["hm"][:, [2, 0]])
    torch.testing.assert_close(found["wh"], expected["wh"])
    assert not any(value.requires_grad for value in teacher.parameters())


def test_a_teacher_of_pictures_takes_the_first_channels(tmp_path: Path) -> None:
    path = saved(tmp_path / "teacher.safetensors", ["a"], channels=3, cascade="rgb")
    x = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        expected = load_checkpoint(path).network(x[:, :3])
    torch.testing.assert_close(load_teacher(path, ["a"], of())(x)["hm"], expected["hm"])


@pytest.mark.parametrize(
    ("changes", "metadata", "words"),
    [
        ({"kind": "rgb"}, {}, "with 3 input channels; .* has 6"),
        ({"kind": "dssim"}, {"cascade": "ssim"}, "with cascade dssim; .* has ssim"),
        ({}, {"mean": [0.0, 0.0, 0.0]}, "with mean .*; .* has "),
    ],
)
def test_a_teacher_of_other_inputs_is_refused(
    tmp_path: Path, changes: dict[str, object], metadata: dict[str, object], words: str
) -> None:
    path = saved(tmp_path / "teacher.safetensors", ["a"], **metadata)
    with pytest.raises(CheckpointError, match=words):
        load_teacher(path, ["a"], of(**changes))


def test_a_teacher_of_other_classes_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "teacher.safetensors", ["a", "b"])
    with pytest.raises(CheckpointError, match="does not know c, d"):
        load_teacher(path, ["a", "c", "d"], of())


def test_a_run_learns_from_its_teacher(tmp_path: Path) -> None:
    truth = read_annotations(annotated(tmp_path / "clips") / "annotations.json")
    path = saved(tmp_path / "teacher.safetensors", ["two", "one"])
    values = replace(of(size=(64, 64), images=4, batch=2, epochs=2), teacher=str(path))
    result = fit([truth], tmp_path / "run", values, FitOptions(origin="scratch"))
    for epoch in result.history:
        parts = epoch.losses
        hard = parts["hm"] + 0.1 * parts["wh"] + parts["reg"]
        soft = parts["taught_hm"] + parts["taught_box"]
        assert soft > 0
        assert parts["total"] == pytest.approx(hard + soft, rel=1e-4)
