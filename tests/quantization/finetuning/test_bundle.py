"""From a float bundle to one with fine-tuned weights."""

from __future__ import annotations

import dataclasses
import sys

import msgspec
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from edgekit.assets import default_bundle, default_weights
from edgekit.bundle import FineTuning, load_bundle, save_bundle
from edgekit.calibration.samples import collect
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.errors import CheckpointError, MissingDependencyError, UsageError
from edgekit.models.checkpoints import save_checkpoint
from edgekit.models.registry import build
from edgekit.quantization.build import quantize_bundle
from edgekit.quantization.finetuning.bundle import (
    FineTunedBundle,
    FineTuningPlan,
    checkpoint_of,
    settings_of,
    tune,
)
from edgekit.targets.build import export_bundle

PLAN = FineTuningPlan(steps=5, method="minmax", seed=0)


@pytest.fixture(scope="module")
def shipped():
    return load_bundle(default_bundle(precision="fp32"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained network of a small input, which sees something everywhere."""
    torch.manual_seed(0)
    network = build("lite0", classes=24, channels=6, head_conv=16)
    for head in (network.hm, network.wh, network.reg):
        nn.init.normal_(head[-1].weight, std=0.3)
        nn.init.ones_(head[-1].bias)
    path = tmp_path_factory.mktemp("checkpoint") / "mine.safetensors"
    save_checkpoint(path, network, {"name": '"mine"', "input_size": "[64, 64]"})
    return path


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory):
    return export_bundle(checkpoint, out=tmp_path_factory.mktemp("float") / "bundle")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def samples(bundle, store, footage):
    return collect(bundle, find_sequences(footage), store, samples=8, judged=6)


@pytest.fixture(scope="module")
def tuned(bundle, checkpoint, samples, store):
    found = tune(bundle, checkpoint, samples[0], PLAN, store)
    assert found.record.used
    return found


@pytest.fixture(scope="module")
def plain(bundle, samples, store, tmp_path_factory):
    """Without fine-tuning."""
    out = tmp_path_factory.mktemp("plain") / "bundle"
    return quantize_bundle(bundle, *samples, out, store=store, max_drop=1.0, method="minmax")


def test_a_tuned_bundle_differs_by_its_weights_alone(bundle, tuned):
    one, other = bundle.manifest, tuned.bundle.manifest
    fields = ("files", "verification", "converter")
    blank = dict.fromkeys(fields[:2], None) | {"files": (), "converter": {}}
    assert msgspec.structs.replace(one, **blank) == msgspec.structs.replace(other, **blank)
    assert {entry.path for entry in one.files} == {entry.path for entry in other.files}
    assert bundle.model_path.read_bytes() != tuned.bundle.model_path.read_bytes()
    names = [[n.name for n in onnx.load(b.model_path).graph.node] for b in (bundle, tuned.bundle)]
    assert names[0] == names[1]


def test_what_is_done_is_not_done_again(bundle, checkpoint, tuned, samples, store):
    before = set(store.path.iterdir())
    again = tune(bundle, checkpoint, samples[0], PLAN, store, progress=pytest.fail)
    assert again == tuned
    assert set(store.path.iterdir()) == before


def test_an_interrupted_run_leaves_nothing(bundle, checkpoint, samples, tmp_path):
    def stop(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(bundle, checkpoint, samples[0], PLAN, Store(tmp_path), progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_the_weights_that_lose_less_are_taken(bundle, tuned, plain, samples, store, tmp_path):
    options = {"store": store, "max_drop": 1.0, "method": "minmax"}
    made = quantize_bundle(bundle, *samples, tmp_path / "tuned", tuned=tuned, **options)
    comparison = made.tuning
    assert comparison.without == plain.check
    assert made.check == (comparison.tuned if comparison.record.used else comparison.without)
    quantization = load_bundle(made.bundle.path).manifest.quantization
    assert quantization.fine_tuning == comparison.record
    assert quantization.float_bundle == bundle.sha256
    assert made.bundle.manifest.provenance == bundle.manifest.provenance
    same = made.bundle.model_path.read_bytes() == plain.bundle.model_path.read_bytes()
    assert same is not comparison.record.used


def test_a_run_that_found_nothing_changes_nothing(bundle, plain, samples, store, tmp_path):
    record = FineTuning(steps=1, seed=0, annotated=False, before=1.0, after=1.0, used=False)
    options = {"store": store, "max_drop": 1.0, "method": "minmax"}
    same = FineTunedBundle(bundle, record)
    made = quantize_bundle(bundle, *samples, tmp_path / "out", tuned=same, **options)
    assert made.tuning.tuned is None
    assert made.bundle.manifest.quantization.fine_tuning == record
    assert made.bundle.model_path.read_bytes() == plain.bundle.model_path.read_bytes()
    assert plain.tuning is None
    assert plain.bundle.manifest.quantization.fine_tuning is msgspec.UNSET
    assert "fine_tuning" not in (plain.bundle.path / "manifest.json").read_text()


def test_the_checkpoint_has_to_be_that_of_the_bundle(shipped, tmp_path, monkeypatch):
    assert checkpoint_of(shipped, None) == default_weights()
    copied = tmp_path / "copy.safetensors"
    copied.write_bytes(default_weights().read_bytes())
    assert checkpoint_of(shipped, copied) == copied
    copied.write_bytes(b"another")
    with pytest.raises(CheckpointError, match="was exported from korsal-lite0-ucf24"):
        checkpoint_of(shipped, copied)
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint_of(shipped, tmp_path / "nowhere")
    other = msgspec.structs.replace(
        shipped.manifest.provenance, checkpoint="mine.pth", checkpoint_sha256="0" * 64
    )
    mine = dataclasses.replace(
        shipped, manifest=msgspec.structs.replace(shipped.manifest, provenance=other)
    )
    with pytest.raises(UsageError, match=r"mine\.pth") as error:
        checkpoint_of(mine, None)
    assert "--checkpoint FILE" in error.value.hint
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError) as missing:
        checkpoint_of(shipped, None)
    assert "pip install" in str(missing.value.hint)


@pytest.mark.parametrize(
    ("operator", "way"),
    [("DeformConv", "deform_conv"), ("GridSample", "grid_sample"), ("Gather", "gather")],
)
def test_settings_are_read_off_a_bundle(shipped, tmp_path, operator, way):
    node = helper.make_node(operator, ["x", "y"], ["z"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xyz"]
    graph = helper.make_graph([node], "graph", values[:2], values[2:])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    manifest = msgspec.structs.replace(
        shipped.manifest,
        arch="resdcn18",
        cascade=msgspec.structs.replace(
            shipped.manifest.cascade, kind="dssim", frame_gap=2, place="graph"
        ),
        decode=msgspec.structs.replace(shipped.manifest.decode, top_k=7),
    )
    found = settings_of(
        save_bundle(tmp_path / "bundle", manifest, {"model.onnx": tmp_path / "model.onnx"})
    )
    assert found.dcn == way
    assert (found.arch, found.cascade, found.frame_gap) == ("resdcn18", "dssim", 2)
    assert (found.cascade_in, found.decode_in, found.top_k) == ("graph", "host", 7)
    assert found.input_size == (256, 256)
