from __future__ import annotations

import shutil

import msgspec
import pytest

from edgekit.assets import default_bundle
from edgekit.benchmarks.footage import DEMO_NAME, check_footage, write_demo_clip
from edgekit.benchmarks.rows import plan_rows, shipped_bundles
from edgekit.bundle import load_bundle, save_bundle
from edgekit.datasets.published import read_truth
from edgekit.errors import BundleError, OutputError, UsageError
from edgekit.targets.registry import TARGETS, session_class


def test_all_shipped_bundles_are_measured():
    assert default_bundle() in shipped_bundles()
    plans = plan_rows(shipped_bundles())
    assert {plan.bundle for plan in plans} == {path.resolve() for path in shipped_bundles()}
    assert all(plan.row.runtime == "onnxruntime" for plan in plans)


def test_settings_multiply_where_the_runtime_has_them(tmp_path):
    shipped = load_bundle(default_bundle())
    manifest = msgspec.structs.replace(shipped.manifest, target="openvino")
    other = save_bundle(tmp_path / "ov", manifest, {"model.onnx": shipped.model_path}).path
    plans = plan_rows([default_bundle(), other], threads=(1, 2), arithmetic=("f32", "bf16"))
    assert len({plan.row.key for plan in plans}) == 2 + 4
    with pytest.raises(UsageError, match="bf16"):
        plan_rows([default_bundle()], arithmetic=("bf16",))


def test_a_bundle_that_is_named_twice_is_measured_once():
    assert len(plan_rows([default_bundle(), default_bundle()])) == 1


def test_bundles_of_one_name_are_distinguished(tmp_path, monkeypatch):
    copy = tmp_path / default_bundle().name
    shutil.copytree(default_bundle(), copy)
    labels = {plan.row.bundle for plan in plan_rows([default_bundle(), copy])}
    assert labels == {default_bundle().name, str(copy.resolve())}
    monkeypatch.chdir(tmp_path.parent)
    labels = {plan.row.bundle for plan in plan_rows([default_bundle(), copy])}
    assert labels == {default_bundle().name, f"{tmp_path.name}/{copy.name}"}


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(UsageError, match="openvino"):
        plan_rows([default_bundle()], runtimes=("openvino",))
    with pytest.raises(BundleError):
        plan_rows([tmp_path])


def test_the_clip_to_measure_on_is_that_of_the_demonstration(tmp_path):
    footage = check_footage(str(write_demo_clip(tmp_path)), DEMO_NAME)
    assert (footage.width, footage.height, footage.frames) == (320, 240, 130)


def test_a_full_disk_for_the_clip_is_no_fault_of_the_clip(small_disk):
    (small_disk / "other").write_bytes(bytes(200 << 10))
    with pytest.raises(OutputError, match="frames and should hold 130") as caught:
        write_demo_clip(small_disk)
    assert "Free some space" in caught.value.hint


def test_the_evaluation_clips_have_a_truth(tmp_path, monkeypatch):
    from edgekit.benchmarks import footage

    monkeypatch.setattr(footage, "_ANNOTATED_SEEDS", (162,))
    truth = read_truth("json", footage.write_annotated_clips(tmp_path))
    assert [video.name for video in truth.videos] == ["puppets-162.avi"]
    assert truth.videos[0].tubes


def test_the_hint_names_the_targets_whose_runtimes_have_a_choice_of_arithmetic():
    able = {
        target
        for target in TARGETS.own
        for runtime in TARGETS[target].runtimes
        if "arithmetic" in session_class(target, runtime).takes
    }
    with pytest.raises(UsageError, match="no runtime of these bundles supports") as caught:
        plan_rows([default_bundle()], arithmetic=("bf16",))
    assert able == {target for target in TARGETS.own if target in caught.value.hint.lower()}
