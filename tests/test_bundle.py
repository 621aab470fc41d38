"""Tests that written bundles can be read, and others are refused with a reason."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle import (
    MANIFEST,
    SCHEMA,
    Bundle,
    CascadeSpec,
    DecodeSpec,
    HeadCheck,
    InputSpec,
    Manifest,
    OutputSpec,
    Provenance,
    Verification,
    date_of_today,
    load_bundle,
    save_bundle,
)
from edgekit.bundle import manifest as manifest_module
from edgekit.bundle._external_data import names_other_files
from edgekit.bundle.manifest import check_choices
from edgekit.errors import BundleError, OutputError, UsageError
from edgekit.system.installation import install_line


def manifest(**changes: Any) -> Manifest:
    made = Manifest(
        name="model",
        arch="lite0",
        classes=("walk", "läuft"),
        target="onnx",
        precision="fp32",
        model="model.onnx",
        input=InputSpec(height=64, width=96, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)),
        cascade=CascadeSpec(kind="dssim", frame_gap=2),
        outputs=tuple(
            OutputSpec(name=name, meaning="", layout="(1, 2, 16, 24)", channels=2)
            for name in ("hm", "wh", "reg")
        ),
        decode=DecodeSpec(top_k=7),
        verification=Verification(
            frames=3,
            heads={"hm": HeadCheck(max_difference=1e-7, largest=2.5, cosine=1.0)},
            top_detections_agreeing=1.0,
            tolerance=1e-3,
        ),
        provenance=Provenance(
            checkpoint="a.pth", checkpoint_sha256="0" * 64, edgekit="0.1.0", date="2026-11-23"
        ),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "notice").write_text("Thanks.")
    files = {"model.onnx": tmp_path / "weights", "legal/NOTICE": tmp_path / "notice"}
    return save_bundle(tmp_path / "bundle", manifest(), files)


def edit(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((bundle.path / MANIFEST).read_text())
    change(content)
    (bundle.path / MANIFEST).write_text(json.dumps(content))


def test_a_record_of_the_fine_tuning_that_is_gone_still_loads(bundle: Bundle) -> None:
    record = {"steps": 60, "seed": 0, "annotated": False, "before": 2e-3, "after": 1e-3}
    found = {"method": "mse", "samples": 128, "fine_tuning": {**record, "used": True}}
    edit(bundle, lambda content: content.update(precision="int8", quantization=found))
    quantization = load_bundle(bundle.path).manifest.quantization
    assert quantization
    assert (quantization.method, quantization.samples) == ("mse", 128)


def test_round_trip(bundle: Bundle) -> None:
    found = load_bundle(bundle.path)
    assert found == bundle
    assert found.manifest == manifest(files=found.manifest.files)
    assert [entry.path for entry in found.manifest.files] == ["legal/NOTICE", "model.onnx"]
    assert found.size == 40 * 256 + 7
    assert found.model_path.read_bytes()[:3] == b"\0\1\2"


def test_licence_and_notice_of_the_weights_are_named(bundle: Bundle, tmp_path: Path) -> None:
    assert bundle.notices == {}  # other folders have other notices
    named = ("LICENSE", "NOTICE", "model.onnx")
    found = save_bundle(tmp_path / "other", manifest(), dict.fromkeys(named, tmp_path / "notice"))
    assert found.notices == {name: found.path / name for name in named[:2]}


def test_equal_content_gives_equal_bytes(bundle: Bundle, tmp_path: Path) -> None:
    files = {name: bundle.path / name for name in ("model.onnx", "legal/NOTICE")}
    again = save_bundle(tmp_path / "again", manifest(), dict(reversed(files.items())))
    assert again.sha256 == bundle.sha256
    assert (again.path / MANIFEST).read_bytes() == (bundle.path / MANIFEST).read_bytes()


def test_date_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert date_of_today() == "1970-01-02"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert date_of_today() > "2026"


@pytest.mark.parametrize("position", [0, 5000, 40 * 256 - 1])
def test_flipped_byte(bundle: Bundle, position: int) -> None:
    content = bytearray(bundle.model_path.read_bytes())
    content[position] ^= 1
    bundle.model_path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx has changed"):
        load_bundle(bundle.path)


def test_flipped_byte_beside_the_model(bundle: Bundle) -> None:
    (bundle.path / "legal/NOTICE").write_text("Thanks?")
    with pytest.raises(BundleError, match="legal/NOTICE has changed"):
        load_bundle(bundle.path)


def test_manifest_that_is_too_large(bundle: Bundle) -> None:
    with (bundle.path / MANIFEST).open("ab") as file:
        file.truncate((4 << 20) + 1)
    with pytest.raises(BundleError, match="4194305 bytes, and at most 4194304 are read"):
        load_bundle(bundle.path)


def test_truncated_file(bundle: Bundle) -> None:
    os.truncate(bundle.model_path, 100)
    with pytest.raises(BundleError, match="has 100 bytes; the manifest says 10240"):
        load_bundle(bundle.path)


def test_missing_file(bundle: Bundle) -> None:
    (bundle.path / "legal/NOTICE").unlink()
    with pytest.raises(BundleError, match="legal/NOTICE is missing"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("what", ["nothing", "file", "empty folder"])
def test_no_bundle_at_all(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "file":
        path.write_text("{}")
    elif what == "empty folder":
        path.mkdir()
    with pytest.raises(BundleError, match=r"is not a bundle: a folder with manifest\.json"):
        load_bundle(path)


@pytest.mark.usefixtures("bound_by_permissions")
@pytest.mark.parametrize("name", [MANIFEST, "model.onnx"])
def test_a_file_that_may_not_be_read_is_named_with_its_permissions(
    bundle: Bundle, name: str
) -> None:
    (bundle.path / name).chmod(0)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle.path)
    assert caught.value.message == f"Cannot read {bundle.path / name}: Permission denied."
    assert caught.value.hint.startswith("Check the file and its permissions.")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1, 2", b"not json"])
def test_manifest_that_is_not_json(bundle: Bundle, text: bytes) -> None:
    (bundle.path / MANIFEST).write_bytes(text)
    with pytest.raises(BundleError, match="is not JSON"):
        load_bundle(bundle.path)


def test_truncated_manifest(bundle: Bundle) -> None:
    text = (bundle.path / MANIFEST).read_bytes()
    for length in range(0, len(text) - 2, 97):
        (bundle.path / MANIFEST).write_bytes(text[:length])
        with pytest.raises(BundleError):
            load_bundle(bundle.path)


@pytest.mark.parametrize(
    "place", ["../outside", "/etc/hostname", "legal/../../outside", "legal\\..\\outside"]
)
def test_path_that_leaves_the_bundle(bundle: Bundle, place: str) -> None:
    (bundle.path.parent / "outside").write_text("Thanks.")
    edit(bundle, lambda content: content["files"][0].update(path=place))
    with pytest.raises(BundleError, match="outside the bundle"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("link", ["legal/NOTICE", "legal"])
def test_symbolic_link_that_leaves_the_bundle(bundle: Bundle, link: str) -> None:
    outside = bundle.path.parent / "outside"
    (bundle.path / link).rename(outside)
    (bundle.path / link).symlink_to(outside)
    with pytest.raises(BundleError, match="outside the bundle"):
        load_bundle(bundle.path)


def test_model_that_no_checksum_covers(bundle: Bundle) -> None:
    edit(bundle, lambda content: content.update(model="other.onnx"))
    with pytest.raises(BundleError, match=r"names the model 'other\.onnx', but does not list it"):
        load_bundle(bundle.path)


def test_a_file_that_the_manifest_does_not_list_is_not_read(bundle: Bundle) -> None:
    (bundle.path / "model.rknn").touch()
    with pytest.raises(BundleError, match=r"model\.rknn in the bundle; the manifest does not list"):
        bundle.read_file("model.rknn")


def test_newer_schema(bundle: Bundle) -> None:
    edit(bundle, lambda content: content.update(schema=SCHEMA + 1, novelty=True))
    with pytest.raises(BundleError, match=f"schema {SCHEMA + 1}") as caught:
        load_bundle(bundle.path)
    assert install_line(upgrade=True) in caught.value.hint


@pytest.mark.parametrize("schema", [0, "1", 1.0, None])
def test_a_schema_that_never_was(bundle: Bundle, schema: object) -> None:
    edit(bundle, lambda content: content.update(schema=schema))
    with pytest.raises(BundleError, match=f"schema 1 or older; found {schema!r}"):
        load_bundle(bundle.path)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(unknown=1),
        lambda c: c["cascade"].update(unknown=1),
        lambda c: c.pop("name"),
        lambda c: c.update(classes=[]),
        lambda c: c.update(classes="walk"),
        lambda c: c["input"].update(height=65),
        lambda c: c["input"].update(height=0),
        lambda c: c["input"].update(height=320_000_000),
        lambda c: c["input"].update(height=8192, width=8192),
        lambda c: (
            c["input"].update(height=2048, width=2048),
            c["decode"].update(stride=1),
            c.update(classes=[f"{n}" for n in range(17)]),
        ),
        lambda c: c["input"].update(mean=[1e308, 0, 0]),
        lambda c: c["input"].update(mean=[-2000, 0, 0]),
        lambda c: c["input"].update(std=[1, 1e-5, 1]),
        lambda c: c["cascade"].update(frame_gap=1001),
        lambda c: c["cascade"].update(interval=0.0009),
        lambda c: c["cascade"].update(interval=10.1),
        lambda c: c["decode"].update(stride=64),
        lambda c: c["cascade"].update(k1=0.02),
        lambda c: c["cascade"].update(interval=0.0),
        lambda c: c["decode"].update(top_k=10**9),
        lambda c: c["decode"].update(place="graph"),
        lambda c: c.update(classes=["walk"]),
        lambda c: c["outputs"].pop(),
        lambda c: c["input"].update(width="96"),
        lambda c: c["input"].update(std=[1, 0, 1]),
        lambda c: c["input"].update(std=[1, 2000, 1]),
        lambda c: c["input"].update(mean=[1, 2]),
        lambda c: c["cascade"].update(kind="flow"),
        lambda c: c["cascade"].update(frame_gap=0),
        lambda c: c["decode"].update(top_k=0),
        lambda c: c["decode"].update(place="cloud"),
        lambda c: c["decode"].update(stride=2.5),
        lambda c: c.update(files=[{"path": "model.onnx"}]),
    ],
)
def test_wrong_manifest(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
    edit(bundle, change)
    with pytest.raises(BundleError, match="is not a manifest"):
        load_bundle(bundle.path)


@pytest.mark.parametrize(("width", "fits"), [(2048, True), (2080, False)])
def test_an_input_has_at_most_four_million_pixels(width: int, fits: bool) -> None:
    size = InputSpec(height=2048, width=width, mean=(0, 0, 0), std=(1, 1, 1))
    words = f"input 2048x{width}: expected .* at most {4 << 20} pixels"
    with contextlib.nullcontext() if fits else pytest.raises(ValueError, match=words):
        check_choices(size, CascadeSpec(kind="rgb"), DecodeSpec(), ("walk",))


@pytest.mark.parametrize(("classes", "fits"), [(64, True), (65, False)])
def test_a_frame_has_no_more_scores_than_memory_for_them(classes: int, fits: bool) -> None:
    size = InputSpec(height=2048, width=2048, mean=(0, 0, 0), std=(1, 1, 1))
    parts = size, CascadeSpec(kind="rgb"), DecodeSpec(stride=2)
    names = tuple(map(str, range(classes)))
    words = f"the number of scores of a frame {classes << 20} is not from 1 to {64 << 20}"
    with contextlib.nullcontext() if fits else pytest.raises(ValueError, match=words):
        check_choices(*parts, names)


def test_no_part_of_a_manifest_can_be_changed() -> None:
    parts = [part for part in vars(manifest_module).values() if isinstance(part, type)]
    specs = [part for part in parts if issubclass(part, msgspec.Struct)]
    assert len(specs) > 10
    assert all(spec.__struct_config__.frozen for spec in specs if spec is not msgspec.Struct)


def test_manifest_that_is_endless(bundle: Bundle) -> None:
    (bundle.path / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(BundleError, match="is not JSON"):
        load_bundle(bundle.path)


def test_file_that_links_to_itself(bundle: Bundle) -> None:
    bundle.model_path.unlink()
    bundle.model_path.symlink_to(bundle.model_path)
    with pytest.raises(BundleError, match=r"cannot read|is missing"):
        load_bundle(bundle.path)


def test_a_day_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("abc", "1e9", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
        with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
            date_of_today()


@pytest.mark.parametrize("text", ["[]", "null", "3", '"text"'])
def test_manifest_of_another_kind(bundle: Bundle, text: str) -> None:
    (bundle.path / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="is not a manifest"):
        load_bundle(bundle.path)


def test_saving_replaces_only_by_force(bundle: Bundle, tmp_path: Path) -> None:
    files = {"model.onnx": tmp_path / "notice"}
    with pytest.raises(OutputError, match="already exists") as caught:
        save_bundle(bundle.path, manifest(), files)
    assert "force=True" in caught.value.hint
    assert load_bundle(bundle.path) == bundle
    save_bundle(bundle.path, manifest(name="new"), files, force=True)
    assert load_bundle(bundle.path).manifest.name == "new"
    assert not (bundle.path / "legal").exists()


def test_failed_saving_leaves_nothing_and_keeps_the_old(bundle: Bundle, tmp_path: Path) -> None:
    files = {"a": tmp_path / "notice", "model.onnx": tmp_path / "is not there"}
    before = sorted(tmp_path.iterdir())
    for place in (bundle.path, tmp_path / "new"):
        with pytest.raises(OutputError):
            save_bundle(place, manifest(), files, force=True)
    assert sorted(tmp_path.iterdir()) == before
    assert load_bundle(bundle.path) == bundle


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    (tmp_path / "file").write_bytes(b"1")
    for place in (tmp_path / "file" / "bundle", Path("/proc/bundle")):
        with pytest.raises(OutputError, match="Cannot write"):
            save_bundle(place, manifest(), {"model.onnx": tmp_path / "weights"})


def test_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(1 << 20))
    with pytest.raises(OutputError, match="No space left"):
        save_bundle(small_disk / "bundle", manifest(), {"model.onnx": tmp_path / "weights"})
    assert list(small_disk.iterdir()) == []


def with_model(bundle: Bundle, tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "other.onnx").write_bytes(content)
    files = {bundle.manifest.model: tmp_path / "other.onnx"}
    return save_bundle(tmp_path / "other", bundle.manifest, files).path


@pytest.mark.parametrize("place", ["initializer", "attribute", "function", "subgraph"])
def test_weights_in_other_files_are_refused(bundle: Bundle, tmp_path: Path, place: str) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="../../secret")
    node = onnx.helper.make_node("Constant", [], ["w"], value=tensor)
    graph = onnx.GraphProto(name="g")
    model = onnx.ModelProto(ir_version=10, graph=graph)
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.append(node)
    elif place == "function":
        model.functions.add(name="f").node.append(node)
    else:
        inner = onnx.GraphProto(name="inner", node=[node])
        model.graph.node.append(onnx.helper.make_node("If", ["a"], ["b"], then_branch=inner))
    with pytest.raises(BundleError, match="keeps weights in other files"):
        load_bundle(with_model(bundle, tmp_path, model.SerializeToString()))


def test_weights_in_other_files_are_refused_wherever_the_model_is_listed(
    bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(field(7, field(5, field(13, b"secret"))))
    for beside in ("a", "z"):
        files = {bundle.manifest.model: tmp_path / "model", beside: tmp_path / "notice"}
        path = save_bundle(tmp_path / beside, bundle.manifest, files).path
        with pytest.raises(BundleError, match="keeps weights in other files"):
            load_bundle(path)


def test_weights_in_other_files_are_found_wherever_a_model_can_have_weights() -> None:
    onnx = pytest.importorskip("onnx")

    def paths(kind: Any, used: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The fields that lead from a type of message to a tensor, each at most once."""
        for field in kind.fields:
            if field.message_type and field not in used:
                if field.message_type == onnx.TensorProto.DESCRIPTOR:
                    yield (*used, field)
                else:
                    yield from paths(field.message_type, (*used, field))

    found = list(paths(onnx.ModelProto.DESCRIPTOR))
    assert len(found) > 50
    for path in found:
        model = message = onnx.ModelProto(ir_version=10)
        for step in path:
            value = getattr(message, step.name)
            message = value if hasattr(value, "SetInParent") else value.add()
        message.data_location = onnx.TensorProto.DEFAULT
        assert not names_other_files(model.SerializeToString())
        message.data_location = onnx.TensorProto.EXTERNAL
        assert names_other_files(model.SerializeToString()), [step.name for step in path]


def field(number: int, content: bytes, high: bytes = b"") -> bytes:
    """A field of protocol buffers; ``high`` are the higher bytes of its key."""
    key = number << 3 | 2
    head = bytes([key | 0x80, 0x80, 0x80, 0x80]) + high if high else bytes([key])
    size = len(content)
    return head + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + content


@pytest.mark.parametrize("high", [b"\x10", b"\x20", b"\x70", b"\x80\x00"])
def test_keys_with_bits_that_runtimes_drop_hide_no_weights(
    bundle: Bundle, tmp_path: Path, high: bytes
) -> None:
    model = field(7, field(5, field(13, b"secret", high)))
    with pytest.raises(BundleError, match="keeps weights in other files"):
        load_bundle(with_model(bundle, tmp_path, model))


@pytest.mark.parametrize("deep", [True, False])
def test_a_model_of_endless_fields_is_refused(bundle: Bundle, tmp_path: Path, deep: bool) -> None:
    model = b"" if deep else b"\x3a\x00" * 1_000_001
    for _ in range(200 if deep else 0):  # a graph with a node with an attribute with a graph
        model = field(1, field(5, field(6, model)))
    with pytest.raises(BundleError, match="more than 1000000 fields, or nested more than"):
        load_bundle(with_model(bundle, tmp_path, field(7, model) if deep else model))


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.append(files[0]),
        lambda files: files[0].update(size=(1 << 28) + 1),
        lambda files: files.extend({**files[0], "path": f"{n}", "size": 1 << 28} for n in range(4)),
    ],
)
def test_a_list_of_files_that_takes_too_long(bundle: Bundle, change: Any) -> None:
    edit(bundle, lambda content: change(content["files"]))
    with pytest.raises(BundleError, match="Expected each file once, with at most 268435456 bytes"):
        load_bundle(bundle.path)


@given(st.binary())
def test_the_search_for_other_files_ends_on_any_bytes(content: bytes) -> None:
    assert names_other_files(content) in (False, True)


def test_weights_beside_the_model_are_listed(bundle: Bundle) -> None:
    bundle.model_path.with_suffix(".bin").write_bytes(b"weights")
    with pytest.raises(BundleError, match=r"would read weights from model\.bin"):
        load_bundle(bundle.path)


def test_a_path_that_no_file_can_have_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        load_bundle(tmp_path / ("x" * 256))


def test_a_model_whose_name_has_no_room_for_another_ending(bundle: Bundle) -> None:
    name = "m" * 255
    bundle.model_path.rename(bundle.path / name)
    edit(bundle, lambda content: content.update(model=name))
    edit(bundle, lambda content: content["files"][1].update(path=name))
    assert load_bundle(bundle.path).manifest.model == name


def test_a_model_that_was_changed_after_the_check_is_not_read(bundle: Bundle) -> None:
    loaded = load_bundle(bundle.path)
    content = loaded.read_model()
    assert content == bundle.model_path.read_bytes()
    # With so many, the checksums of some are above that of the model, and of others below.
    ends = (content[:-1] + bytes([byte]) for byte in range(20) if byte != content[-1])
    for changed in (*ends, content + b"?", b""):
        loaded.model_path.write_bytes(changed)
        with pytest.raises(BundleError, match=r"has changed since|bytes, and at most"):
            loaded.read_model()


def test_the_error_names_the_range_of_a_number(bundle: Bundle) -> None:
    edit(bundle, lambda content: content["input"].update(mean=[2000, 0, 0]))
    words = re.escape("mean (2000.0, 0.0, 0.0) is not from -1000.0 to 1000.0")
    with pytest.raises(BundleError, match=words):
        load_bundle(bundle.path)


def test_files_that_others_replace_meanwhile_end_no_check(bundle: Bundle) -> None:
    over = threading.Event()
    names = [entry.path for entry in bundle.manifest.files] + [MANIFEST]

    def replace() -> None:
        contents = {name: (bundle.path / name).read_bytes() for name in names}
        while not over.is_set():
            for name in names:
                new = bundle.path / ".new"
                os.mkfifo(new)
                new.replace(bundle.path / name)
                new.symlink_to("/dev/zero")
                new.replace(bundle.path / name)
                new.write_bytes(contents[name])
                new.replace(bundle.path / name)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(300):
            with contextlib.suppress(BundleError):
                assert load_bundle(bundle.path).sha256 == bundle.sha256
    finally:
        over.set()
        thread.join()
