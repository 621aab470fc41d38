"""Tests the quantization of the shipped model on a few rendered frames."""

from __future__ import annotations

import dataclasses
import json
import shutil

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit._progress import Progress
from edgekit.assets import default_bundle
from edgekit.bundle import load_bundle, save_bundle
from edgekit.calibration.samples import collect
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.datasets.annotations import Truth as Dataset
from edgekit.errors import (
    AnnotationError,
    BoundError,
    BundleError,
    MediaError,
    OutputError,
    UsageError,
)
from edgekit.quantization import frames
from edgekit.quantization.base import Recipe
from edgekit.quantization.build import quantize_bundle, recipe_of
from edgekit.quantization.frames import gather
from edgekit.quantization.heads_loss import HeadsLoss
from edgekit.quantization.registry import quantizer
from edgekit.quantization.trials import last_evaluated
from edgekit.quantization.tubes_loss import TubesLoss
from edgekit.synthetic.dataset import write_dataset
from edgekit.targets.jetson.checker import check
from edgekit.targets.registry import TARGETS


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(default_bundle(precision="fp32"))


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage") / "clips"
    write_dataset(folder, (161, 162), frames=24)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def samples(bundle, footage, store):
    return collect(bundle, find_sequences(footage), store, samples=8, evaluated=8)


@pytest.fixture(scope="module")
def done(bundle, samples, store, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "bundle"
    return quantize_bundle(bundle, *samples, out, store=store, max_drop=0.2)


def test_the_bundle_says_how_it_was_made_and_what_it_lost(done, bundle):
    manifest = load_bundle(done.bundle.path).manifest
    assert manifest.precision == "int8"
    assert manifest.quantization.float_bundle == bundle.sha256
    assert manifest.quantization.check == done.check
    assert (manifest.quantization.method, manifest.quantization.samples) == ("mse", 8)
    assert manifest.verification is None
    assert "NOTICE" in {entry.path for entry in manifest.files}
    assert done.bundle.size < 0.3 * bundle.size
    assert done.check.agreement > 0.9
    assert min(done.check.sqnr.values()) > 20


def test_a_second_run_gives_the_same_bytes_from_what_is_finished(
    done, bundle, samples, store, tmp_path
):
    before = set(store.path.iterdir())
    again = quantize_bundle(bundle, *samples, tmp_path / "again", store=store, max_drop=0.2)
    assert again.bundle.sha256 == done.bundle.sha256
    assert set(store.path.iterdir()) == before


def test_no_two_neighbouring_weights_overflow(done):
    model = onnx.load(str(done.bundle.model_path))
    makers = {node.output[0]: node for node in model.graph.node}
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    rounded = 0
    for node in model.graph.node:
        maker = makers.get(node.input[1]) if node.op_type in ("Conv", "MatMul") else None
        if maker is None:
            continue
        rounded += 1
        weights = np.abs(stored[maker.input[0]].astype(int))
        if node.op_type == "MatMul":
            weights = weights.T[:, :, None, None]
        if weights.shape[1] == 1:
            continue
        for order in (weights, weights.transpose(0, 2, 3, 1)):
            flat = order.reshape(len(weights), -1)
            assert (flat[:, :-1] + flat[:, 1:]).max() <= 128
    assert rounded == len(done.layers)


def test_the_bundle_that_was_measured_last_is_written_only_if_it_is_the_chosen_one(done, tmp_path):
    bundle = done.bundle
    chosen = frozenset(bundle.manifest.quantization.kept_float)
    assert last_evaluated(bundle.path, chosen).sha256 == bundle.sha256
    assert last_evaluated(bundle.path, chosen | {"another"}) is None
    assert last_evaluated(tmp_path / "none", chosen) is None


def test_layers_that_are_named_stay_float(bundle, samples, done, store, tmp_path):
    kept = "blocks.3.expand.0/Conv"
    made = quantize_bundle(
        bundle, *samples, tmp_path / "kept", store=store, keep_float=[kept], max_drop=0.2
    )
    assert made.bundle.manifest.quantization.kept_float == (kept,)
    model = onnx.load(str(made.bundle.model_path))
    stored = {tensor.name for tensor in model.graph.initializer}
    (node,) = (node for node in model.graph.node if node.name == kept)
    assert node.input[1] in stored


def test_with_all_layers_float_it_is_the_float_model(bundle, samples, done, store, tmp_path):
    tool = quantizer("onnx")
    names = frozenset(layer.name for layer in tool.layers(bundle))
    others = {
        node.name
        for node in onnx.load(str(bundle.model_path)).graph.node
        if node.op_type in ("Add", "Resize", "Clip")
    }
    recipe = Recipe(keep_float=names | others)
    tool.quantize(bundle, done.statistics, recipe, tmp_path)
    kinds = {node.op_type for node in onnx.load(str(tmp_path / "model.onnx")).graph.node}
    assert "QuantizeLinear" not in kinds


def test_the_float_model_agrees_with_itself(bundle, samples, store):
    found = HeadsLoss(bundle, samples[1], store).measure(bundle)
    assert (found.drop, found.agreement) == (0, 1)
    assert found.sqnr == {"hm": 99.0, "wh": 99.0, "reg": 99.0}


def test_what_tensorrt_reads_is_symmetric(bundle, samples, done, tmp_path):
    quantizer("jetson").quantize(bundle, done.statistics, Recipe(), tmp_path)
    path = tmp_path / "model.onnx"
    assert check(path) == []
    model = onnx.load(str(path))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        zero = stored[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()


def test_a_bound_that_cannot_hold_writes_nothing(bundle, samples, store, tmp_path, monkeypatch):
    from edgekit.quantization import build

    real = build.search
    few = quantizer("onnx").layers(bundle)[:2]
    monkeypatch.setattr(build, "search", lambda layers, *a, **k: real(few, *a, **k))
    with pytest.raises(BoundError, match="Nothing was written"):
        quantize_bundle(bundle, *samples, tmp_path / "x", store=store, max_drop=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_nothing_and_goes_on(bundle, samples, store, tmp_path):
    class Stop(Progress):
        def phase(self, note, total=None):
            if note == "writing":
                raise KeyboardInterrupt

    out = tmp_path / "x"
    with pytest.raises(KeyboardInterrupt):
        quantize_bundle(bundle, *samples, out, store=store, max_drop=0.2, progress=Stop())
    assert list(tmp_path.iterdir()) == []
    quantize_bundle(bundle, *samples, out, store=store, max_drop=0.2)
    assert load_bundle(out).manifest.precision == "int8"


def test_settings_that_exclude_each_other_are_refused_before_the_calibration(bundle):
    manifest = msgspec.structs.replace(bundle.manifest, target="tflite")
    network = dataclasses.replace(bundle, manifest=manifest)
    with pytest.raises(UsageError, match="keeps activations in float"):
        recipe_of(network, method="dynamic", io="int8")
    decode = msgspec.structs.replace(manifest.decode, place="graph")
    whole = msgspec.structs.replace(manifest, decode=decode)
    with pytest.raises(UsageError, match="can contain the network only"):
        recipe_of(dataclasses.replace(bundle, manifest=whole), io="int8")


def test_wrong_requests_are_refused(bundle, done, samples, store, tmp_path):
    def run(source=bundle, **options):
        quantize_bundle(source, *samples, tmp_path / "x", store=store, **options)

    with pytest.raises(UsageError, match=r"no layer 'blocks\.3\.expand'") as error:
        run(keep_float=["blocks.3.expand"])
    assert "blocks.3.expand.0/Conv" in error.value.hint
    with pytest.raises(UsageError, match="Expected method to be one of"):
        run(method="magic")
    with pytest.raises(UsageError, match=r"Expected io to be one of float for .* 'int8'"):
        run(io="int8")
    with pytest.raises(BundleError, match="INT8 already"):
        run(done.bundle)
    half = msgspec.structs.replace(bundle.manifest, precision="fp16")
    files = {entry.path: bundle.path / entry.path for entry in bundle.manifest.files}
    with pytest.raises(BundleError, match="is fp16"):
        run(save_bundle(tmp_path / "half", half, files))
    with pytest.raises(OutputError, match="already exists"):
        quantize_bundle(bundle, *samples, done.bundle.path, store=store, max_drop=0.2)
    with pytest.raises(UsageError, match="can quantize bundles for"):
        quantizer("abacus")
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_every_target_has_a_quantizer_of_its_own():
    assert len({type(quantizer(target)) for target in TARGETS.own}) == len(TARGETS.own)


def test_annotated_frames_are_compared_with_their_annotations(bundle, footage, store, tmp_path):
    found = gather(bundle, footage, footage, store, samples=6)
    assert len(found.samples) == 6
    used = {(place.sequence, place.frame) for place in found.samples.places}
    assert not used & {(place.sequence, place.frame) for place in found.evaluation.places}
    assert len(found.evaluation) == 48 - 6
    annotation = json.loads((footage / "annotations.json").read_text())
    total = sum(len(t["boxes"]) for v in annotation["videos"].values() for t in v["tubes"])
    boxes = sum(map(len, found.truth))
    assert total - 6 * 5 <= boxes <= total
    loss = TubesLoss(bundle, found.dataset, found.sequences, found.evaluation, store)
    check = loss.measure(bundle)
    assert check.annotated
    assert check.tubes == sum(len(v["tubes"]) for v in annotation["videos"].values())
    assert 0 < check.video_map == check.float_map <= 1
    # The same model for a target whose own runtime no test machine has.
    manifest = msgspec.structs.replace(bundle.manifest, target="jetson")
    files = {entry.path: bundle.path / entry.path for entry in bundle.manifest.files}
    assert loss.measure(save_bundle(tmp_path / "jetson", manifest, files)) == check


def test_videos_other_than_annotated_are_refused_before_any_frame_is_chosen(
    bundle, footage, tmp_path
):
    store = Store(tmp_path / "store")
    other = tmp_path / "other"
    shutil.copytree(footage, other)
    whole = json.loads((footage / "annotations.json").read_text())
    name = next(iter(whole["videos"]))
    for changes, error, words in (
        ({"width": 640, "height": 480}, MediaError, "and its annotation says 640x480"),
        ({"frames": 99}, AnnotationError, "and its annotation says 99"),
    ):
        videos = {**whole["videos"], name: {**whole["videos"][name], **changes}}
        (other / "annotations.json").write_text(json.dumps({**whole, "videos": videos}))
        with pytest.raises(error, match=words):
            gather(bundle, footage, other, store, samples=6)
    shutil.rmtree(other / name) if (other / name).is_dir() else (other / name).unlink()
    with pytest.raises(MediaError, match="no file or folder"):
        gather(bundle, footage, other, store, samples=6)
    assert not list(store.path.glob("choice-*"))


def test_without_annotations_the_tubes_of_the_float_model_are_the_truth(bundle, footage, store):
    found = gather(bundle, footage, None, store, samples=6)
    loss = TubesLoss(bundle, found.dataset, found.sequences, found.evaluation, store)
    check = loss.measure(bundle)
    assert not check.annotated
    assert check.tubes > 0
    assert (check.float_map, check.drop) == (1, 0)


def test_tubes_of_another_version_of_the_runtime_are_found_again(
    spotter, spots, tmp_path, monkeypatch
):
    own = Store(tmp_path / "store")
    found = gather(spotter, spots, None, own, samples=6)
    loss = TubesLoss(spotter, found.dataset, found.sequences, found.evaluation, own)
    loss.measure(spotter)
    before = set(own.path.glob("tubes-*"))
    place = tmp_path / "onnxruntime-99.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    loss.measure(spotter)
    assert set(own.path.glob("tubes-*")) > before


def test_where_nothing_is_found_there_is_no_tube_as_ground_truth(bundle, tmp_path, store):
    random = np.random.default_rng(0)
    for number in range(8):
        noise = random.integers(0, 60, (64, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), noise)
    sequences = find_sequences(tmp_path)
    _, evaluation = collect(bundle, sequences, store, samples=4, evaluated=4)
    assert TubesLoss(bundle, Dataset([], []), sequences, evaluation, store).measure(bundle) is None


def test_a_model_of_other_classes_is_calibrated_with_rendered_clips_too(
    spotter, footage, store, monkeypatch
):
    monkeypatch.setattr(frames, "rendered_clips", lambda store, progress: (footage, footage))
    found = gather(spotter, None, None, store, samples=6)
    assert found.truth is None
    assert not found.dataset.videos
    assert len(found.samples) == 6


def test_a_bundle_is_no_footage(bundle, store):
    with pytest.raises(UsageError, match="Expected calib to name videos or pictures"):
        gather(bundle, bundle.path, None, store, samples=4)
