"""Tests which bundle a command takes if none is named, and what it prints."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import msgspec
import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import Bundle, Quantization, load_bundle, save_bundle
from edgekit.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, on a machine without TensorRT."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    return tmp_path


@pytest.fixture
def write(spotter, here):
    """Writes the bundle that finds spots as another one; each is newer than those before."""
    written: list[Path] = []

    def save(name, *, target="onnx", precision="fp32", folder="artifacts", **changes) -> Bundle:
        if precision == "int8":
            changes["quantization"] = Quantization(method="minmax", samples=1)
        manifest = msgspec.structs.replace(
            spotter.manifest, name=name, target=target, precision=precision, **changes
        )
        path = Path(folder) / f"{name}-{target}-{precision}"
        bundle = save_bundle(path, manifest, {"model.onnx": spotter.model_path})
        written.append(path)
        for age, place in enumerate(reversed(written)):
            moment = 1_700_000_000 - 10 * age
            os.utime(place / "manifest.json", (moment, moment))
        return bundle

    return save


@pytest.fixture
def run(spots, capsys, caplog):
    """Runs a command over the spots; returns its JSON and what it said beside it."""

    def call(*arguments, status=0):
        caplog.clear()
        assert main([*map(str, arguments)]) == status
        shown = capsys.readouterr()
        said = f"{caplog.text}{shown.err}"
        assert "Traceback" not in said
        return (json.loads(shown.out) if shown.out else None), said

    return call


def test_run_takes_the_newest_bundle_that_runs_here(run, write, spots):
    command = ("run", "--source", spots / "spot0.avi", "--max-frames", 2, "--json")
    write("old")
    newer = write("new")
    write("board", target="jetson")
    found, said = run(*command)
    assert found["bundle"]["sha256"] == newer.sha256
    assert "Using artifacts/new-onnx-fp32, the newest bundle in artifacts/" in said
    assert "--bundle FOLDER or --bundle shipped" in said
    assert (
        "Skipped artifacts/board-jetson-fp32: Running on TensorRT needs the package 'tensorrt'"
        in said
    )
    assert "old" not in said


def test_run_takes_a_jetson_bundle_on_a_runtime_that_is_there(run, write, spots):
    write("old")
    board = write("board", target="jetson")
    command = ("run", "--source", spots / "spot0.avi", "--max-frames", 2, "--json")
    found, said = run(*command, "--runtime", "onnxruntime")
    assert found["bundle"]["sha256"] == board.sha256
    assert "Skipped" not in said


@pytest.mark.parametrize("named", [(), ("--bundle", "shipped")])
def test_run_takes_the_shipped_bundle(run, write, spots, named):
    shipped = load_bundle(default_bundle())
    if named:
        write("there")
    source = ("--source", spots / "spot0.avi", "--max-frames", 2)
    found, said = run("run", *source, "--json", *named)
    assert found["bundle"]["sha256"] == shipped.sha256
    assert ("Using the shipped bundle korsal-lite0-ucf24-onnx-int8." in said) is not bool(named)
    assert "artifacts/there" not in said


def test_a_file_of_options_names_the_shipped_bundle(run, write, spots, here):
    write("there")
    (here / "run.toml").write_text('bundle = "shipped"\nmax-frames = 2\n')
    found, _ = run("run", "--config", "run.toml", "--source", spots / "spot0.avi", "--json")
    assert found["bundle"]["sha256"] == load_bundle(default_bundle()).sha256


def test_a_folder_of_the_name_shipped_is_named_by_its_place(run, write, spots, here):
    other = write("x", folder="elsewhere")
    (here / "elsewhere" / "x-onnx-fp32").rename(here / "shipped")
    found, said = run("inspect", "./shipped", "--json")
    assert found["sha256"] == other.sha256
    assert "Using" not in said


def test_a_named_bundle_is_taken_without_a_word(run, write):
    old = write("old")
    write("new")
    found, said = run("inspect", old.path, "--json")
    assert found["sha256"] == old.sha256
    assert said == ""


def _spoil(folder: Path) -> None:
    """Fills a folder with what people and accidents leave in it."""
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "todo.txt").write_text("buy a board")
    (folder / "list").mkdir()
    (folder / "list" / "manifest.json").write_text("[1, 2]")
    (folder / "words").mkdir()
    (folder / "words" / "manifest.json").write_bytes(b"\xff\x00 no JSON")
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe" / "manifest.json")
    (folder / "deep" / "manifest.json").mkdir(parents=True)
    (folder / ".half-written").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "file.txt").touch()


def test_what_is_broken_or_foreign_is_skipped_with_a_word(run, write, here, spots):
    sound = write("sound")
    broken = write("broken")
    (broken.path / "model.onnx").write_bytes(b"cut")
    _spoil(here / "artifacts")
    command = ("run", "--source", spots / "spot0.avi", "--max-frames", 2, "--json")
    found, said = run(*command)
    assert found["bundle"]["sha256"] == sound.sha256
    told = " ".join(said.split())
    for name in ("broken-onnx-fp32", "notes", "list", "words", "pipe", "deep"):
        assert f"Skipped artifacts/{name}: " in told, name
    for name in (".half-written", "loop", "file.txt"):
        assert name not in told


@pytest.mark.parametrize("kind", ["file", "dangling"])
def test_artifacts_that_are_no_folder_are_none(run, here, kind):
    place = here / "artifacts"
    place.touch() if kind == "file" else place.symlink_to("nowhere")
    found, said = run("inspect", "--json")
    assert found["sha256"] == load_bundle(default_bundle()).sha256
    assert "Using the shipped bundle" in said


def test_inspect_shows_the_newest_whatever_its_target(run, write):
    write("old")
    board = write("board", target="jetson")
    found, said = run("inspect", "--json")
    assert found["sha256"] == board.sha256
    assert "edgekit inspect BUNDLE or edgekit inspect shipped" in said
    assert run("inspect", "shipped", "--json")[0]["path"] == str(default_bundle())


def test_eval_takes_what_run_takes(run, write, spots):
    write("new")
    write("board", target="jetson")
    found, said = run("eval", "--root", spots, "--json")
    assert found["frame_map"]["0.5"] > 0.5
    assert "Using artifacts/new-onnx-fp32" in said
    assert "Skipped artifacts/board-jetson-fp32" in said
    _, said = run("eval", "shipped", "--root", spots, status=3)
    assert "does not know: spot" in said


def test_build_takes_the_newest_jetson_bundle(run, write):
    _, said = run("build", status=2)
    assert "artifacts/ has none. Make one: edgekit export --target jetson" in " ".join(said.split())
    write("board", target="jetson")
    write("other")
    _, said = run("build", status=4)
    assert "Using artifacts/board-jetson-fp32, the newest jetson bundle" in said


@pytest.fixture
def quantize(run, spots, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    options = ("--calib", spots, "--samples", 6, "--cache", cache, "--max-drop", 100, "--json")
    return lambda *arguments, **expected: run("quantize", *arguments, *options, **expected)


def test_quantize_takes_the_last_export_and_keeps_its_target(quantize, write):
    write("old")
    write("board", target="jetson")
    write("old", precision="int8")
    found, said = quantize()
    assert found["bundle"] == "artifacts/board-jetson-int8"
    made = load_bundle(Path(found["bundle"])).manifest
    assert (made.target, made.precision, made.name) == ("jetson", "int8", "board")
    assert "Using artifacts/board-jetson-fp32, the newest float bundle in artifacts/." in said
    assert "edgekit quantize BUNDLE or edgekit quantize shipped" in said
    assert "Skipped" not in said
    _, said = quantize("--force")
    assert "Using artifacts/board-jetson-fp32" in said


def test_quantize_takes_the_newest_of_a_target(quantize, write):
    write("old")
    write("board", target="jetson")
    found, said = quantize("--target", "onnx")
    assert found["bundle"] == "artifacts/old-onnx-int8"
    assert "the newest float bundle for onnx in artifacts/" in said


def test_quantize_says_that_half_precision_is_skipped(quantize, write):
    write("whole")
    write("half", precision="fp16")
    found, said = quantize()
    assert found["bundle"] == "artifacts/whole-onnx-int8"
    assert "Skipped artifacts/half-onnx-fp16: Expected an fp32 bundle" in said


def test_quantize_takes_the_shipped_model(quantize, write):
    write("only", precision="int8")
    _, said = quantize("--method", "dynamic", status=2)
    assert "Using the shipped bundle korsal-lite0-ucf24-onnx-fp32" in said
    write("whole")
    _, said = quantize("shipped", "--method", "dynamic", status=2)
    assert "Using" not in said


def test_bench_measures_all_that_are_here_beside_the_shipped(run, write, spots):
    write("one")
    (Path("artifacts") / "notes").mkdir()
    write("future", target="onnx-9000")
    command = ("bench", "--source", spots / "spot0.avi", "--frames", 10, "--rounds", 1)
    command += ("--threads", 1, "--json")
    found, said = run(*command)
    names = [row["bundle"] for row in found["rows"]]
    assert names == [
        "korsal-lite0-ucf24-onnx-fp32",
        "korsal-lite0-ucf24-onnx-int8",
        "one-onnx-fp32",
    ]
    assert "Measuring the 2 shipped bundles and 1 of artifacts/." in said
    assert "edgekit bench BUNDLE... or edgekit bench shipped" in said
    assert "Skipped artifacts/notes" in said
    assert "Skipped artifacts/future-onnx-9000-fp32" in said


def test_run_takes_what_quantize_has_just_written(quantize, run, write, spots):
    write("mine")
    assert quantize()[0]["bundle"] == "artifacts/mine-onnx-int8"
    _, said = run("run", "--source", spots / "spot0.avi", "--max-frames", 2, "--json")
    assert "Using artifacts/mine-onnx-int8, the newest bundle in artifacts/" in said
