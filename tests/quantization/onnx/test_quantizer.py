"""Tests which parts of an ONNX model are quantized, and which stay float."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import onnx
import onnxruntime
import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import load_bundle
from edgekit.calibration.samples import extract
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.errors import OutputError
from edgekit.quantization.base import LAST, Recipe
from edgekit.quantization.build import quantize_bundle
from edgekit.quantization.heads_loss import HeadsLoss
from edgekit.quantization.registry import quantizer
from edgekit.synthetic.clip import render_clip
from edgekit.synthetic.dataset import write_video


@pytest.fixture(scope="module")
def inside(checkpoint, export):
    """The cascade and the decoding in one model with the network."""
    return export(checkpoint, cascade_in="graph", decode_in="graph")


@pytest.fixture(scope="module")
def shipped():
    return load_bundle(default_bundle(precision="fp32"))


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    path = tmp_path_factory.mktemp("footage") / "clip.avi"
    write_video(render_clip(1, frames=12, size=(96, 128)), path)
    return find_sequences(path)


@pytest.fixture(scope="module")
def calibrated(footage, tmp_path_factory):
    @functools.cache
    def measure(path, target):
        """The statistics of four frames."""
        bundle, store = load_bundle(path), Store(tmp_path_factory.mktemp("store"))
        statistics = tmp_path_factory.mktemp("statistics")
        samples = extract(bundle, footage, [[2, 4, 6, 8]], store)
        quantizer(target).calibrate(bundle, samples, statistics)
        return statistics

    return measure


@pytest.fixture
def make(calibrated, tmp_path):
    def quantize(bundle, target="onnx", **options):
        """The model, its quantizer, and the statistics of four frames."""
        tool, statistics = quantizer(target), calibrated(bundle.path, target)
        out = Path(mkdtemp(dir=tmp_path))
        written = tool.quantize(bundle, statistics, Recipe(**options), out)
        return onnx.load(str(out / written.model)), tool, statistics

    return quantize


def rounded(model):
    """Names of the nodes whose weights are integers, or, without weights, what they give."""
    makers = {name: node for node in model.graph.node for name in node.output}
    stored = {tensor.name for tensor in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    weights = {n.output[0] for n in pairs if n.input[0] in stored}
    given = {n.input[0] for n in pairs if n.op_type == "QuantizeLinear"}
    found = {n.name for n in model.graph.node if not weights.isdisjoint(n.input)}
    return found | {
        makers[name].name
        for name in given & makers.keys()
        if stored.isdisjoint(makers[name].input) or makers[name].name in found
    }


ENDS = {"hm.2/Conv", "wh.2/Conv", "reg.2/Conv"}


@pytest.mark.parametrize("target", ["onnx", "jetson"])
def test_all_but_the_network_stays_float(inside, make, target):
    model, tool, statistics = make(inside, target)
    layers = {layer.name for layer in tool.layers(inside)}
    assert len(layers - ENDS) == 22
    found = rounded(model)
    assert layers <= found
    outside = {name for name in found if name.startswith(("cascade", "decode"))}
    assert len(outside) == 1  # the last of the cascade, which is the network's input
    said = tool.left_float(inside)
    left = {} if target == "onnx" else dict.fromkeys(ENDS, LAST)
    assert ENDS & layers == ENDS & found == ENDS - left.keys()
    assert {name: why for name, why in said.items() if name in ENDS} == left
    assert said.keys() - ENDS == {"the cascade", "the decoding"}
    read = tool.readings(inside, statistics, "minmax")
    assert read.keys() == layers
    for reading in read.values():
        if target == "jetson":
            assert reading.low == -reading.high
        assert reading.low <= min(reading.seen.low, 0) <= max(reading.seen.high, 0) <= reading.high


def test_what_the_network_gives_is_not_rounded(shipped, make):
    model, *_ = make(shipped)
    makers = {name: node for node in model.graph.node for name in node.output}
    for value in model.graph.output:
        added = makers[value.name]
        assert added.op_type == "Add"
        assert makers[makers[added.input[0]].input[0]].op_type == "MatMul"


@pytest.mark.parametrize("others", [True, False])
def test_a_last_layer_can_stay_float_and_can_be_rounded_alone(shipped, make, others):
    names = {layer.name for layer in quantizer("onnx").layers(shipped)}
    one = {"hm.2/Conv"}
    model, *_ = make(shipped, keep_float=frozenset(one if others else names - one))
    assert rounded(model) & names == (names - one if others else one)


def test_upsampling_of_integers_is_by_rows_and_gives_the_same(shipped, make):
    kept = ("Resize", "Resize_2")  # what they give is rounded by the same pair again
    given = []
    for names in ((), kept):
        model, *_ = make(shipped, keep_float=frozenset(names))
        kinds = Counter(node.op_type for node in model.graph.node)
        assert (kinds["Resize"], kinds["Gather"]) == (len(names), 6 - 2 * len(names))
        session = onnxruntime.InferenceSession(model.SerializeToString())
        picture = np.random.default_rng(0).standard_normal((1, 6, 256, 256), np.float32)
        given.append(session.run(None, {"input": picture}))
    for one, other in zip(*given, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("lowering", ["deform_conv", "gather"])
def test_places_in_the_picture_stay_float(deformable, export, make, lowering):
    bundle = export(deformable, dcn=lowering, input_size=(64, 64))
    model, tool, _ = make(bundle)
    found = rounded(model)
    layers = {layer.name for layer in tool.layers(bundle)}
    assert layers <= found
    assert sum("conv_offset_mask" in name for name in layers) == 1
    deformed = {name.partition(".conv_offset_mask")[0] for name in layers if "_mask" in name}
    said = [name for name in tool.left_float(bundle) if name.startswith("the sampling of")]
    assert said == [f"the sampling of {name}" for name in sorted(deformed)]
    assert not [name for name in found if name.rpartition("/")[0] in deformed]


def test_a_model_that_decodes_is_compared_by_its_boxes(inside, footage, tmp_path):
    store = Store(tmp_path / "store")
    samples, evaluation = (extract(inside, footage, [w], store) for w in ([2, 4, 6], [8, 10]))
    float_one = HeadsLoss(inside, evaluation, store).measure(inside)
    assert (float_one.drop, float_one.agreement, float_one.sqnr) == (0, 1, {})
    assert float_one.objects > 0
    made = quantize_bundle(inside, samples, evaluation, tmp_path / "q", store=store, max_drop=1.0)
    assert made.check.sqnr == {}
    assert 0 < made.check.frame_map <= 1
    assert made.check.agreement < 1


def test_tensorrt_gets_no_rounded_bias(inside, make):
    model, *_ = make(inside, "jetson")
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type == "DequantizeLinear"]
    assert {stored[n.input[0]] for n in pairs if n.input[0] in stored} == {onnx.TensorProto.INT8}
    convolutions = [n for n in model.graph.node if n.op_type == "Conv" and len(n.input) == 3]
    assert len(convolutions) > 22
    for node in convolutions:
        if not node.name.startswith("cascade"):
            assert stored[node.input[2]] == onnx.TensorProto.FLOAT


def test_a_full_disk_for_temporary_files_is_an_error(
    shipped, calibrated, small_disk, tmp_path, monkeypatch
):
    statistics = calibrated(shipped.path, "onnx")
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(OutputError, match=f"Cannot write {small_disk}: No space left on device"):
        quantizer("onnx").quantize(shipped, statistics, Recipe(), tmp_path / "made")
