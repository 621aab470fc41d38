"""A small network learns to live with roundings."""

from __future__ import annotations

import dataclasses
import shutil

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from edgekit.assets import default_bundle
from edgekit.bundle import load_bundle
from edgekit.calibration.samples import collect
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.errors import BadInputError
from edgekit.models.centernet import CenterNet, convolution
from edgekit.models.registry import build
from edgekit.quantization.finetuning.bundle import FineTuningPlan
from edgekit.quantization.finetuning.training import distillation_loss, fine_tuned, learning_sample
from edgekit.quantization.frames import annotated
from edgekit.training.samples import targets


class Small(CenterNet):
    def __init__(self) -> None:
        super().__init__(8, 24, 8)
        self.stem = convolution(6, 8, 3, 4)
        self.body = convolution(8, 8, 3)

    def features(self, x):
        return self.body(self.stem(x))


@pytest.fixture(scope="module")
def bundle():
    """The shipped one, with a small input."""
    whole = load_bundle(default_bundle(precision="fp32"))
    small = msgspec.structs.replace(whole.manifest.input, height=64, width=64)
    manifest = msgspec.structs.replace(whole.manifest, input=small)
    return dataclasses.replace(whole, manifest=manifest)


@pytest.fixture(scope="module")
def samples(bundle, footage, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return collect(bundle, find_sequences(footage), store, samples=16, judged=2)[0]


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = Small()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(std=0.3)
            norm.running_var.uniform_(0.5, 2)
    for head in (network.hm, network.wh, network.reg):
        nn.init.normal_(head[-1].weight, std=0.3)
    return network.eval()


def test_what_is_held_out_gets_better_and_the_same_again(network, samples):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    plan = FineTuningPlan(steps=10, method="minmax", seed=3)
    done = []
    first, record = fine_tuned(network, samples, plan, progress=done.append)
    assert done == list(range(1, 11))
    assert record.used
    assert record.after < record.before
    assert (record.steps, record.seed, record.annotated) == (10, 3, False)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    second, again = fine_tuned(network, samples, plan)
    assert again == record
    other, _ = fine_tuned(network, samples, dataclasses.replace(plan, seed=4))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    assert not torch.equal(other.body[0].weight, first.body[0].weight)


def test_a_network_with_deformable_layers_runs(samples):
    torch.manual_seed(0)
    network = build("resdcn18", classes=24, channels=6, head_conv=8).eval()
    _, record = fine_tuned(network, samples, FineTuningPlan(steps=1, method="mse"))
    assert 0 < record.after <= record.before < 1


def test_weights_that_are_no_better_are_not_taken(network, samples):
    wild, record = fine_tuned(network, samples, FineTuningPlan(steps=2, method="mse", rate=0.3))
    assert wild is network
    assert not record.used
    assert record.after == record.before


def test_a_loss_that_is_no_number_is_told(network, samples):
    with pytest.raises(BadInputError, match="in step 2"):
        fine_tuned(network, samples, FineTuningPlan(steps=2, method="mse", rate=1e30))


def test_annotations_are_learned_from_as_well(network, samples, bundle, footage, tmp_path, caplog):
    truth = annotated(bundle, footage, samples)
    assert len(truth) == len(samples)
    assert any(truth)
    plan = FineTuningPlan(steps=10, method="minmax")
    _, record = fine_tuned(network, samples, plan, truth=truth)
    _, without = fine_tuned(network, samples, plan)
    assert record.annotated
    # Both losses count alike at first.
    assert record.before == pytest.approx(2 * without.before, rel=1e-3)
    assert record.used
    assert annotated(bundle, tmp_path, samples) is None


def test_annotations_of_some_videos_alone_are_left(samples, bundle, footage, tmp_path, caplog):
    for path in footage.iterdir():
        shutil.copy(path, tmp_path)
    shutil.copy(footage / "puppets-161.avi", tmp_path / "another.avi")
    assert annotated(bundle, tmp_path, samples) is None
    assert "are not in" in caplog.text


def test_a_mirrored_frame_has_a_mirrored_truth(bundle, footage, samples):
    truth = annotated(bundle, footage, samples)
    index = next(i for i, actions in enumerate(truth) if actions)
    plain, turned = (learning_sample(samples, index, truth[index], 24, flip=f) for f in (0, 1))
    assert np.array_equal(turned.input, plain.input[:, :, ::-1])
    # A mirrored centre lies in the mirrored cell, or, on the edge of two, in the next.
    moved = np.abs(turned.heatmap - plain.heatmap[:, :, ::-1]).max()
    assert moved < 1
    assert plain.mask.sum() == turned.mask.sum() > 0
    assert np.array_equal(plain.sizes, turned.sizes) or np.allclose(plain.sizes, turned.sizes)
    boxes = samples.letterbox(index).to_input(np.array([b for _, b in truth[index]]))
    expected = targets(samples.tensor(index), boxes, [label for label, _ in truth[index]], 24)
    assert np.array_equal(plain.heatmap, expected.heatmap)


def test_cells_count_by_their_score():
    heads = {"hm": torch.full((1, 2, 4, 4), -5.0), "wh": torch.ones(1, 2, 4, 4)}
    heads["reg"] = torch.ones(1, 2, 4, 4)
    heads["hm"][0, 0, 1, 1] = 3.0
    assert distillation_loss(heads, heads) == 0
    losses = []
    for cell in (0, 1):
        changed = {**heads, "wh": heads["wh"].clone()}
        changed["wh"][0, :, cell, cell] += 0.1
        losses.append(float(distillation_loss(changed, heads)))
    assert losses[1] > 10 * losses[0] > 0
