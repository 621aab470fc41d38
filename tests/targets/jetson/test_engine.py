"""Tests engines with a fake TensorRT: building, reuse, rebuilding and errors."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bundle import Bundle, load_bundle
from edgekit.cli import main as run
from edgekit.errors import BundleError, EdgeKitError, OutputError, UsageError
from edgekit.files.checksums import ENDING, keep_file
from edgekit.system.user_folders import user_secret
from edgekit.targets.base import SessionOptions
from edgekit.targets.jetson.engine import build_engine, trtexec_command
from edgekit.targets.jetson.session import TensorRtSession

MIB = 1 << 20


def files(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()}


def test_built_once_and_kept_beside_the_model(machine: Any, jetson: Any) -> None:
    bundle = jetson()
    told: list[tuple[str, int, int]] = []
    first = build_engine(bundle, report=lambda *words: told.append(words))
    again = build_engine(bundle)
    assert first.built
    assert first.path == bundle.path / "engines" / f"{first.key}.engine"
    assert (again.built, again.seconds, again.path) == (False, 0, first.path)
    assert len(machine.builds) == 1
    assert told == [("Building", done, 2) for done in (0, 1, 2, 2)]
    assert files(first.path.parent) == {".engine", ".checksum", ".timings"}
    assert load_bundle(bundle.path).sha256 == bundle.sha256
    assert build_engine(bundle, force=True).built


def test_builds_strongly_typed_without_tf32_within_half_of_the_free_memory(
    machine: Any, jetson: Any
) -> None:
    machine.shared = False
    bundle = jetson()
    build_engine(bundle)
    build_engine(bundle, workspace=256, force=True)
    assert [build["flags"] for build in machine.builds] == [set(), set()]
    limits = [next(iter(build["limits"].values())) for build in machine.builds]
    assert limits == [1024 * MIB, 256 * MIB]


def test_shared_memory_is_what_the_system_can_give(
    machine: Any, jetson: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 614400 kB\n")
    monkeypatch.setattr("edgekit.targets.jetson.cuda._MEMINFO", meminfo)
    build_engine(jetson())
    assert next(iter(machine.builds[0]["limits"].values())) == 300 * MIB


@pytest.mark.parametrize(
    "change",
    [{"gpu": "Xavier"}, {"capability": (7, 2)}, {"version": "10.7.0"}, {"version": "11.4.0.106"}],
)
def test_engine_of_another_machine_is_left_alone(
    machine: Any, restart: Any, jetson: Any, change: dict[str, Any]
) -> None:
    bundle = jetson()
    first = build_engine(bundle)
    for name, value in change.items():
        setattr(machine, name, value)
    restart()
    second = build_engine(bundle)
    assert second.built
    assert second.key != first.key
    assert first.path.is_file()


def test_engine_of_another_model_or_precision_has_another_key(machine: Any, jetson: Any) -> None:
    keys = {build_engine(bundle).key for bundle in (jetson(), jetson(precision="fp16"))}
    assert len(keys) == 2


@pytest.mark.parametrize(
    "damage", ["cut", "changed", "no proof", "another's proof", "a damaged proof"]
)
def test_damaged_engine_is_built_again(machine: Any, jetson: Any, damage: str) -> None:
    bundle = jetson()
    engine = build_engine(bundle).path
    proof = engine.with_name(engine.name + ENDING)
    if damage == "cut":
        engine.write_bytes(engine.read_bytes()[:100])
    elif damage == "changed":
        engine.write_bytes(engine.read_bytes()[:-1] + b"!")
    elif damage == "no proof":
        proof.unlink()
    elif damage == "another's proof":
        keep_file(engine, engine.read_bytes(), "another key", user_secret(""))
    else:
        proof.write_bytes(proof.read_bytes()[:-3])
    with TensorRtSession(bundle) as session:
        frame = np.zeros((1, 64, 96, 3), np.uint8)
        assert session.infer({"previous": frame, "frame": frame})["detections"].shape == (50, 6)
    assert len(machine.builds) == 2


def other_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other user"))


@pytest.mark.parametrize("signed", [True, False])
def test_engine_and_timings_that_came_with_the_bundle_are_not_used(
    machine: Any,
    jetson: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    signed: bool,
) -> None:
    bundle = jetson()
    theirs = build_engine(bundle)
    if not signed:
        keep_file(theirs.path, b"code for the GPU", theirs.key)
        keep_file(theirs.path.with_name("Orin-10.3.0.timings"), b"theirs", "Orin-10.3.0.timings")
    other_user(monkeypatch, tmp_path)
    ours = build_engine(bundle)
    assert (ours.built, ours.path) == (True, theirs.path)
    assert "this user did not build it" in caplog.text
    assert machine.timings == [b"", b""]
    assert not build_engine(bundle).built


def test_engine_that_came_with_the_bundle_is_not_used_through_the_option_either(
    machine: Any, jetson: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = jetson()
    (tmp_path / "link").symlink_to(bundle.path)
    keep_file(Path(build_engine(bundle).path), b"code", build_key(bundle))
    assert build_engine(bundle, cache=tmp_path / "link" / "engines").built


def test_engine_in_a_folder_that_the_user_named_needs_no_key(
    machine: Any, jetson: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = jetson()
    assert build_engine(bundle, cache=tmp_path / "cache").built
    other_user(monkeypatch, tmp_path)
    assert not build_engine(bundle, cache=tmp_path / "cache").built
    assert not (tmp_path / "other user").exists()


def test_engines_that_lead_out_of_the_bundle(machine: Any, jetson: Any, tmp_path: Path) -> None:
    bundle = jetson()
    (tmp_path / "elsewhere").mkdir()
    (bundle.path / "engines").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="leads out of the bundle") as caught:
        build_engine(bundle)
    assert f"cache={tmp_path / 'elsewhere'}" in caught.value.hint
    assert not list((tmp_path / "elsewhere").iterdir())
    (bundle.path / "engines").unlink()
    (bundle.path / "engines").symlink_to("engines")
    with pytest.raises(OutputError, match="engines"):
        build_engine(bundle)


def test_user_without_a_home_is_reported_before_the_build(
    machine: Any, jetson: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match="gone does not exist") as caught:
        build_engine(jetson())
    assert "cache=DIR" in caught.value.hint
    assert machine.builds == []


def test_engine_that_tensorrt_refuses_is_built_again(
    machine: Any, jetson: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = jetson()
    build_engine(bundle)
    machine.gpu = "Orin "  # as a driver update may do: another platform under the same key
    monkeypatch.setattr("edgekit.targets.jetson.engine._key", lambda *_: build_key(bundle))
    with TensorRtSession(bundle):
        assert len(machine.builds) == 2


def build_key(bundle: Bundle) -> str:
    (engine,) = (bundle.path / "engines").glob("*.engine")
    return engine.stem


def test_timings_are_used_again_unless_they_are_of_no_use(machine: Any, jetson: Any) -> None:
    bundle = jetson()
    folder = build_engine(bundle).path.parent
    timings = folder / "Orin-10.3.0.timings"
    assert timings.read_bytes() == b"t"
    build_engine(bundle, force=True)
    assert timings.read_bytes() == b"tt"
    for useless in (b"broken", b"foreign"):
        keep_file(timings, useless, timings.name, user_secret(""))
        build_engine(bundle, force=True)
        assert timings.read_bytes() == b"t"
    timings.write_bytes(b"unproven")
    build_engine(bundle, force=True)
    assert machine.timings == [b"", b"t", b"broken", b"", b"foreign", b"", b""]


def test_model_that_the_parser_refuses(machine: Any, jetson: Any) -> None:
    machine.refuses = ("a node is odd", "and the rest as well")
    bundle = jetson()
    with pytest.raises(BundleError, match=r"TensorRT 10\.3\.0 does not take") as caught:
        build_engine(bundle)
    assert "  layer/Odd (Odd): a node is odd\n  and the rest as well" in caught.value.message
    assert files(bundle.path / "engines") == set()


def test_model_that_was_changed_after_the_check(machine: Any, jetson: Any) -> None:
    bundle = jetson()
    content = bytearray(bundle.model_path.read_bytes())
    content[-1] ^= 1
    bundle.model_path.write_bytes(content)
    with pytest.raises(BundleError, match="has changed since"):
        build_engine(bundle)
    assert (machine.builds, files(bundle.path / "engines")) == ([], set())


def test_out_of_memory(machine: Any, jetson: Any) -> None:
    bundle = jetson()
    machine.build_error = "Error Code 2: OutOfMemory (Requested size was 123 bytes)"
    with pytest.raises(EdgeKitError, match=r"workspace of 64 MiB") as caught:
        build_engine(bundle, workspace=64)
    assert machine.build_error in caught.value.message
    assert "a warning" not in caught.value.message
    assert "smaller workspace" in caught.value.hint
    machine.raises = MemoryError("std::bad_alloc")
    with pytest.raises(EdgeKitError, match="std::bad_alloc"):
        build_engine(bundle)
    assert files(bundle.path / "engines") == set()


def test_gpu_that_does_not_start(machine: Any, jetson: Any) -> None:
    machine.starts = False
    with pytest.raises(EdgeKitError, match=r"TensorRT cannot start .*nullptr"):
        build_engine(jetson())


def test_display_that_fails_does_not_end_the_build(machine: Any, jetson: Any) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a display")

    assert build_engine(jetson(), report=fail).built


def test_interrupted(machine: Any, jetson: Any) -> None:
    bundle = jetson()
    # As Python calls it; no signal is sent to a process that has other tests to run.
    machine.during_build = lambda: signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build_engine(bundle)
    assert signal.getsignal(signal.SIGINT) is before
    assert files(bundle.path / "engines") == set()


def test_folder_that_cannot_be_written_is_reported_before_the_build(
    machine: Any, jetson: Any, tmp_path: Path
) -> None:
    bundle = jetson()
    (bundle.path / "engines").write_text("a file")
    with pytest.raises(OutputError, match="engines") as caught:
        build_engine(bundle)
    assert "cache=DIR" in caught.value.hint
    assert machine.builds == []
    with TensorRtSession(bundle, SessionOptions(cache=tmp_path / "cache")):
        assert files(tmp_path / "cache") == {".engine", ".checksum", ".timings"}


def test_bundle_for_another_target(machine: Any, bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="is for onnx"):
        build_engine(bundle)


def test_command(machine: Any, jetson: Any, tmp_path: Path, capsys: Any) -> None:
    bundle = jetson()
    words = ["build", str(bundle.path), "--cache", str(tmp_path / "c"), "--workspace", "32"]
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["built"] is True
    assert Path(found["path"]) == tmp_path / "c" / f"{found['key']}.engine"
    assert next(iter(machine.builds[0]["limits"].values())) == 32 * MIB
    assert run(words) == 0
    assert "was there already" in capsys.readouterr().out
    assert run([*words, "--force"]) == 0
    assert "built in" in capsys.readouterr().out


def test_command_names_the_fastest_of_several(machine: Any, jetson: Any, capsys: Any) -> None:
    paths = [str(jetson().path), str(jetson(name="other").path)]
    assert run(["build", *paths, paths[0], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["bundle"] for one in found["engines"]] == paths
    assert all(one["ms"] > 0 for one in found["engines"])
    assert found["fastest"] in paths
    assert run(["build", *paths]) == 0
    *_, first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{paths[0]}: ")
    assert second.endswith(" ms")
    assert last.removeprefix("Fastest: ") in paths


def test_command_that_fails(machine: Any, jetson: Any, bundle: Bundle, capsys: Any) -> None:
    machine.build_error = "Error Code 2: OutOfMemory"
    assert run(["build", str(jetson().path), "--json"]) == 1
    shown = capsys.readouterr()
    assert "Error Code 2: OutOfMemory" in shown.err
    assert "Error Code 2: OutOfMemory" in json.loads(shown.out)["error"]["message"]
    assert run(["build", str(bundle.path)]) == 2
    assert run(["build", "nowhere"]) == 3
    assert run(["build", "nowhere", "--workspace", "0"]) == 2
    assert capsys.readouterr().out == ""


def test_trtexec_line(jetson: Any) -> None:
    bundle = jetson()
    command = trtexec_command(bundle)
    assert command.startswith(f"trtexec --onnx={bundle.model_path} --saveEngine=")
    assert command.endswith("--stronglyTyped --noTF32")
