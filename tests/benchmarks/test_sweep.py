"""Tests ``edgekit bench --sweep``: its messages and the bundles that it accepts."""

from __future__ import annotations

import pytest

from edgekit.benchmarks.rows import plan_rows
from edgekit.benchmarks.sweep import Sweep, export_all, read_sweep
from edgekit.bundle import load_bundle
from edgekit.calibration.store import Store
from edgekit.cli import main
from edgekit.errors import UsageError


def test_settings_are_put_together_and_named_once():
    sweep = read_sweep(["threads=1,2", "size=96,64x128", "threads=2,0"])
    assert sweep == Sweep(threads=(1, 2, 0), size=((96, 96), (64, 128)))
    assert sweep.exports
    assert not read_sweep(["threads=1", "runtime=openvino", "arithmetic=f32, bf16"]).exports
    assert read_sweep([]) == Sweep()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threads", "SETTING=VALUE"),
        ("speed=1", "SETTING is one of runtime, threads"),
        ("threads=-1", "found '-1'"),
        ("threads=1,,2", "found ''"),
        ("arithmetic=int8", "one of f32, f16, bf16"),
        ("precision=int8", "found 'int8'"),
        ("size=big", "SIDE or HEIGHTxWIDTH"),
        ("size=256,100", "multiples of 32, at least 64; found '100'"),
        ("size=32", "at least 64; found '32'"),
        ("cascade=gpu", "one of host, graph"),
    ],
)
def test_what_cannot_be_swept_is_named(text, words):
    with pytest.raises(UsageError) as caught:
        read_sweep([text])
    assert words in caught.value.message
    assert "sweep='threads=1,2'" in caught.value.hint


def test_int8_is_made_elsewhere():
    with pytest.raises(UsageError) as caught:
        read_sweep(["precision=int8"])
    assert "edgekit quantize" in caught.value.hint


def test_a_bundle_is_exported_once_for_each_combination(tiny, tmp_path):
    sweep = read_sweep(["size=64,96x64", "cascade=host"])
    said = []
    bundles = export_all(sweep, tiny, Store(tmp_path), said.append)
    assert [path.name for path in bundles] == said
    made = [load_bundle(path).manifest for path in bundles]
    assert [(m.input.height, m.input.width) for m in made] == [(64, 64), (96, 64)]
    assert {m.cascade.place for m in made} == {"host"}
    assert [plan.row.bundle for plan in plan_rows(bundles)] == said
    times = [path.stat().st_mtime_ns for path in bundles]
    # What was left out is in the name all the same: an earlier report has the same rows.
    assert export_all(read_sweep(["size=64,96x64"]), tiny, Store(tmp_path)) == bundles
    assert [path.stat().st_mtime_ns for path in bundles] == times
    with pytest.raises(UsageError, match="multiples of 32"):
        export_all(read_sweep(["size=65"]), tiny, Store(tmp_path))


def test_a_bundle_stays_with_the_engine_of_a_session_until_the_converter_changes(
    tiny, tmp_path, monkeypatch
):
    sweep, store = read_sweep(["size=64"]), Store(tmp_path / "store")
    (bundle,) = export_all(sweep, tiny, store)
    engine = bundle / "engines" / "a.engine"
    engine.parent.mkdir()
    engine.touch()
    assert export_all(sweep, tiny, store) == [bundle]
    assert engine.exists()
    place = tmp_path / "onnxscript-99.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxscript\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert export_all(sweep, tiny, store) != [bundle]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BUNDLE", "--sweep", "size=64"], "exports its own bundles"),
        (["--tune", "--sweep", "size=64"], "exports its own bundles"),
        (["--threads", "1", "--sweep", "threads=2"], "--threads and a sweep over threads cannot"),
        (["--checkpoint", "w.pth", "--sweep", "threads=2"], "none was given"),
        (["--sweep", "size"], "SETTING=VALUE"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments, words, capsys):
    assert main(["bench", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in " ".join(shown.err.split())
