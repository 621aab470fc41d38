"""Tests that parts of a package work like EdgeKit's own, in commands and in Python."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import load_bundle, save_bundle
from edgekit.cli import main
from edgekit.datasets.published import read_truth
from edgekit.detector import Detector
from edgekit.errors import PluginError, UsageError
from edgekit.media import open_source
from edgekit.media.sinks.registry import make_sink
from edgekit.models.registry import build
from edgekit.targets.registry import (
    check_runtime,
    exporter,
    open_session,
    runtime_named,
    target_named,
)

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "extending.md"
KINDS = ("targets", "sinks", "sources", "datasets", "networks")


@pytest.fixture(scope="module")
def installed(once: Callable[..., Path]) -> Callable[[str], Path]:
    """Installs an example with pip, and returns the folder to put on the import path."""

    def install(name: str) -> Path:
        def make(folder: Path) -> None:
            source = folder / "source"
            shutil.copytree(HERE / name, source)  # pip builds in the folder of the source
            words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
            pip = [sys.executable, "-m", "pip", *words, "--target", str(folder / "site")]
            subprocess.run([*pip, str(source)], check=True)

        return once(name, make) / "site"

    return install


@pytest.fixture
def use(installed, monkeypatch):
    """Puts an installed example on the import path of this process and of those it starts."""

    def add(name: str) -> None:
        monkeypatch.syspath_prepend(installed(name))
        monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))

    yield add
    for name in [name for name in sys.modules if name.startswith(("edgekit_ex", "edgekit_br"))]:
        del sys.modules[name]


@pytest.fixture
def example(use):
    use("edgekit_example")


@pytest.fixture
def place(spots, tmp_path, monkeypatch):
    """A current folder with clips in the example's layout."""
    clips = tmp_path / "clips"
    shutil.copytree(spots, clips)
    lines = [f"spot{n}.avi,24,64,64,spot,0,10,10,40,{40 + n}" for n in range(2)]
    (clips / "boxes.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_shows_the_files_of_the_example():
    page = PAGE.read_text()
    folder = HERE / "edgekit_example"
    files = [folder / "pyproject.toml", *sorted((folder / "edgekit_example").glob("[!_]*.py"))]
    assert [path.name for path in files if f"\n{path.read_text()}```" not in page] == []


def test_the_lines_of_the_page_work(example, place, capsys):
    page = PAGE.read_text()
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.S)
    lines = [shlex.split(line) for line in block.replace("\\\n", "").splitlines()]
    assert lines.pop(0)[:2] == ["pip", "install"]  # as the fixture did
    said = ""
    for words in lines:
        assert words[0] == "edgekit"
        assert main(words[1:]) == 0, capsys.readouterr().err
        said = capsys.readouterr().out
        if words[1] == "doctor":
            assert re.search(r"zipped\W+edgekit\.targets\W+edgekit-example 1\.0", said)
            assert re.search(r"zipped\W+yes\W+yes", said)
        if words[1] == "inspect":
            assert re.search(r"target\W+zipped", said)
    assert "pebble-csv-zipped-fp32" in said
    assert json.loads((place / "tubes.json").read_text()).keys() <= {"spot"}

    bundle = load_bundle(place / "artifacts" / "pebble-csv-zipped-fp32")
    assert (bundle.manifest.target, bundle.manifest.arch) == ("zipped", "pebble")
    with Detector(bundle) as detector, open_source("noise://3") as source:
        assert detector.session.describe()["runtime"] == "zipped"
        assert len([detector.detect(frame.image) for frame in source]) == 3


def test_the_sink_of_the_page_has_a_file_for_each_source(example, place, capsys):
    assert main(["run", "noise://3", "--sink", "tally"]) == 2
    assert "--sink tally:FILE" in capsys.readouterr().err
    (place / "out").mkdir()
    assert main(["run", "noise://3", "noise://4", "--sink", "tally:out/tubes.json"]) == 0
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        "tubes-0.json",
        "tubes-1.json",
    ]
    assert main(["run", "noise://3", "--sink", "tally:nowhere/tubes.json"]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "in edgekit.sinks of edgekit-example 1.0 failed: FileNotFoundError" in said


def test_names_are_known_only_while_the_package_is_there(use, place):
    with pytest.raises(UsageError, match="csv"):
        read_truth("csv", place / "clips")
    assert target_named("zipped") is None
    use("edgekit_example")
    truth = read_truth("csv", place / "clips")
    assert [len(video.tubes) for video in truth.videos] == [1, 1]
    assert truth.videos[0].tubes[0].boxes.shape == (24, 4)
    assert target_named("zipped") == "zipped"
    assert runtime_named("zipped") == "zipped"


def test_a_choice_in_the_help_lists_what_packages_add(example, capsys):
    assert main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "zipped" in shown
    assert "pebble" in shown
    assert main(["train", "--help"]) == 0
    assert "pebble" in capsys.readouterr().out
    assert main(["eval", "--help"]) == 0
    assert "csv" in capsys.readouterr().out


def test_every_broken_part_is_named_and_none_breaks_doctor(use, capsys):
    use("edgekit_example")
    use("edgekit_broken")
    assert main(["doctor", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["plugins"]
    problems = {(part["name"], part["distribution"]): part["problem"] for part in parts}
    for (name, distribution), said in {
        ("onnx", "edgekit-broken"): "has the same name as a part of EdgeKit",
        ("raising", "edgekit-broken"): "RuntimeError: no licence was found",
        ("missing", "edgekit-broken"): "ModuleNotFoundError",
        ("text", "edgekit-broken"): "to be a function that reads a dataset; found str",
        ("leaving", "edgekit-broken"): "SystemExit: 3",
        ("tally", "edgekit-broken"): "by edgekit-broken 0.3 and edgekit-example 1.0",
        ("tally", "edgekit-example"): "by edgekit-broken 0.3 and edgekit-example 1.0",
    }.items():
        assert said in problems[name, distribution]
        assert "edgekit-broken 0.3" in problems[name, distribution]
    assert problems["zipped", "edgekit-example"] is None
    assert {part["group"].removeprefix("edgekit.") for part in parts} == set(KINDS)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: exporter("raising"), "RuntimeError: no licence was found"),
        (lambda: exporter("hollow"), "expected edgekit_broken.parts:Wrong to be a subclass"),
        (lambda: open_source("missing://1"), "ModuleNotFoundError"),
        (lambda: open_source("failing://1"), "failed: ZeroDivisionError: no signal"),
        (lambda: make_sink("wrong:x"), "expected a Sink; found Wrong"),
        (lambda: read_truth("text", Path()), "found str"),
        (lambda: build("leaving", classes=1), "SystemExit: 3"),
    ],
)
def test_a_broken_part_is_refused_with_the_name_of_its_package(use, call, said):
    use("edgekit_broken")
    with pytest.raises(PluginError, match=r"of edgekit-broken 0\.3") as caught:
        call()
    assert said in caught.value.message
    assert "pip uninstall edgekit-broken" in caught.value.hint


def test_commands_that_use_no_broken_part_work(use, place, tmp_path, capsys):
    use("edgekit_broken")
    words = ["run", str(place / "clips" / "spot0.avi"), "--bundle", "shipped", "--max-frames", "2"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 2
    assert main(["inspect", "shipped"]) == 0
    capsys.readouterr()
    assert main(["run", "missing://1", "--bundle", "shipped", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "plugin"
    assert "edgekit-broken 0.3" in error["message"]


def test_a_bundle_of_a_broken_target_is_passed_over(use, place, capsys):
    use("edgekit_broken")
    shipped = load_bundle(default_bundle())
    files = {entry.path: shipped.path / entry.path for entry in shipped.manifest.files}
    (place / "artifacts").mkdir()
    for target in ("failing", "hollow", "raising"):
        manifest = msgspec.structs.replace(shipped.manifest, target=target)
        bundle = save_bundle(place / "artifacts" / target, manifest, files)
        with pytest.raises(PluginError, match=r"of edgekit-broken 0\.3"):
            check_runtime(bundle)
        with pytest.raises(PluginError, match=r"of edgekit-broken 0\.3"):
            open_session(bundle)
    assert main(["run", str(place / "clips" / "spot0.avi"), "--max-frames", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bundle"]["name"] == shipped.manifest.name


def test_a_broken_network_does_not_hide_a_sound_one(use, tmp_path):
    from edgekit.models.checkpoints import load_checkpoint, save_checkpoint

    use("edgekit_example")
    use("edgekit_broken")
    save_checkpoint(tmp_path / "pebble.safetensors", build("pebble", classes=2), {})
    loaded = load_checkpoint(tmp_path / "pebble.safetensors")
    assert loaded.spec.arch == "pebble"
    assert np.isfinite(next(loaded.network.parameters()).detach().numpy()).all()
