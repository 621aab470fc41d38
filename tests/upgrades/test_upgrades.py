"""Tests that EdgeKit reads files of every earlier version, and refuses those of newer ones.

``write`` made the files in ``files/``, and says how to add one. docs/upgrades.md has the rule.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch

from edgekit.benchmarks.report import report as bench
from edgekit.benchmarks.report.reading import read_report
from edgekit.bundle import load_bundle
from edgekit.bundle import manifest as bundles
from edgekit.cli.output import outcome
from edgekit.datasets import annotations
from edgekit.datasets.annotations import read_annotations
from edgekit.deploy.on_device.connection import DeviceError
from edgekit.deploy.on_device.releases import Releases
from edgekit.errors import EdgeKitError
from edgekit.files.checksums import keep_file
from edgekit.fleet.messages import parse_status
from edgekit.media.sinks import events
from edgekit.media.sinks.mqtt._outbox import Outbox
from edgekit.metrics import detections, eval_result
from edgekit.metrics.detections import read_detections
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.models import weight_files
from edgekit.models.weight_files import read_weights
from edgekit.targets.profile import PROFILE, read_profile
from edgekit.training import run_folder
from edgekit.training.optimization.run_state import load_state
from tests.upgrades.write import CLASSES, SETTINGS, WRITERS

FILES = Path(__file__).parent / "files"
SCHEMAS = {
    "annotations": annotations.SCHEMA,
    "bench": bench.SCHEMA,
    "bundle": bundles.SCHEMA,
    "checkpoint": weight_files.SCHEMA,
    "detections": detections.SCHEMA,
    "doctor": outcome.SCHEMA,
    "eval": eval_result.SCHEMA,
    "events": events.SCHEMA,
    "queue": 1,
    "release": 1,
    "run": outcome.SCHEMA,
    "state": run_folder.SCHEMA,
    "training": run_folder.SCHEMA,
}
_UNREAD = ("doctor", "eval", "events", "run")
"""Kinds that only programs of others read."""


def _read_bundle(path: Path) -> list[str]:
    keys = path.with_name(f"{path.name}.pub")
    bundle = load_bundle(path, require_signature=keys if keys.exists() else None)
    if (path / PROFILE).exists():
        profile = read_profile(bundle)
        assert profile is not None
        assert (profile.threads, profile.cores) == (2, 2)
    return list(bundle.manifest.classes)


def _read_detections(path: Path) -> list[str]:
    saved = read_detections(path)
    (clip,) = saved.videos
    assert (clip.truth.width, clip.truth.tubes[0].end) == (64, 7)
    found = clip.detections[0]
    assert found is not None
    assert found.scores.tolist() == [[0.0, 0.75]]
    assert isinstance(clip.detections, FrameDetections)
    # Files from before videos had a rate are linked as they were then.
    assert clip.detections.fps == (10.0 if path.stem.endswith("-fps") else 25.0)
    return saved.classes


def _read_annotations(path: Path) -> list[str]:
    truth = read_annotations(path)
    assert truth.videos[0].tubes[0].boxes[-1].tolist() == [1.0, 2.0, 30.0, 40.0]
    return truth.classes


def _read_bench(path: Path) -> str:
    row = read_report(path).rows[0]
    assert row.result is not None
    assert row.result.overall.p50 == 0.5
    assert row.error is not None
    return row.error.hint


def _read_queue(path: Path) -> list[tuple[int, str, bytes]]:
    with Outbox(path, 1000) as queue:
        queue.add([])
        return queue.after(0, 9)


def _read_training(path: Path) -> int:
    run_folder.begin(path, SETTINGS, 1)
    return len((path / run_folder.HISTORY).read_text().splitlines())


READERS: dict[str, tuple[Callable[[Path], object], object]] = {
    "annotations": (_read_annotations, CLASSES),
    "bench": (_read_bench, "text"),
    "bundle": (_read_bundle, CLASSES),
    "checkpoint": (lambda path: read_weights(path).metadata, {"classes": json.dumps(CLASSES)}),
    "detections": (_read_detections, CLASSES),
    "queue": (_read_queue, [(1, "door/tube/start", b"{}")]),
    "release": (lambda path: Releases(path).facts(1)["extras"], ["serve"]),
    "state": (lambda path: load_state(path, SETTINGS)["best"], (1, (0.5,))),
    "training": (_read_training, 1),
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with copies of all files, which readers may change."""
    return Path(shutil.copytree(FILES, tmp_path / "files", symlinks=True))


def _files(kind: str) -> list[str]:
    return sorted(path.name for path in FILES.glob(f"{kind}-[0-9]*") if path.suffix != ".pub")


@pytest.mark.parametrize("name", [name for kind in READERS for name in _files(kind)])
def test_files_of_earlier_versions_are_read(name: str, copied: Path) -> None:
    read, expected = READERS[name.partition("-")[0]]
    assert read(copied / name) == expected


def test_earlier_messages_are_read() -> None:
    status = parse_status((FILES / "status.json").read_bytes())
    assert status is not None
    assert (status.state, status.bundle.name, status.every) == ("online", "text", 1.0)


def test_each_schema_has_a_file_of_its_present_version() -> None:
    kinds = {name.partition(".")[0] for name in WRITERS} - {"status"}  # messages have no schema
    assert kinds == set(SCHEMAS)
    assert set(READERS) == kinds - set(_UNREAD)
    for kind, schema in SCHEMAS.items():
        stems = [name.partition(".")[0] for name in _files(kind)]
        assert f"{kind}-{schema}" in stems


def _edit(path: Path, schema: object) -> None:
    """Gives a JSON file another schema, and a layout that this EdgeKit does not know."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema": schema, "classes": {}, "rows": 3}))


def _edit_queue(path: Path, schema: object) -> None:
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA user_version = {schema}")


def _edit_state(path: Path, schema: object) -> None:
    torch.save({"schema": schema, "novelty": 1}, path)


def _edit_checkpoint(path: Path, schema: object) -> None:
    content = path.read_bytes()
    old = b'"edgekit_schema":"1"'
    assert old in content
    path.write_bytes(content.replace(old, old.replace(b"1", str(schema).encode())))


def _edit_bundle(path: Path, schema: object) -> None:
    path.with_name(f"{path.name}.pub").unlink()  # the signature is not of the new manifest
    _edit(path / "manifest.json", schema)


_EDITS: dict[str, Callable[[Path, object], None]] = {
    "bundle": _edit_bundle,
    "checkpoint": _edit_checkpoint,
    "queue": _edit_queue,
    "release": lambda path, schema: _edit(path / "releases/1/release.json", schema),
    "signature": lambda path, schema: _edit(path / "signature.json", schema),
    "state": _edit_state,
}


@pytest.mark.parametrize("kind", [*(kind for kind in READERS if kind != "training"), "signature"])
def test_files_of_newer_versions_are_refused(kind: str, copied: Path) -> None:
    known = "bundle" if kind == "signature" else kind
    schema = 1 if kind == "signature" else SCHEMAS[kind]
    (name,) = [each for each in _files(known) if each.partition(".")[0] == f"{known}-{schema}"]
    _EDITS.get(kind, _edit)(copied / name, schema + 1)
    with pytest.raises((EdgeKitError, DeviceError)) as caught:
        READERS[known][0](copied / name)
    assert f"schema {schema + 1}; this EdgeKit knows up to {schema}" in caught.value.message
    assert "Upgrade" in caught.value.hint


@pytest.mark.parametrize("kind", ["annotations", "bench", "bundle", "detections", "signature"])
@pytest.mark.parametrize("schema", ["two", -1, 1.5, [1]])
def test_what_is_no_schema_is_refused(kind: str, schema: object, copied: Path) -> None:
    known = "bundle" if kind == "signature" else kind
    newest = 1 if kind == "signature" else SCHEMAS[kind]
    (name,) = [each for each in _files(known) if each.partition(".")[0] == f"{known}-{newest}"]
    _EDITS.get(kind, _edit)(copied / name, schema)
    with pytest.raises(EdgeKitError) as caught:
        READERS[known][0](copied / name)
    assert f"schema {newest} or older; found {schema!r}" in caught.value.message
    assert caught.value.hint


def test_a_profile_of_a_newer_version_is_ignored_with_a_warning(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = load_bundle(copied / "bundle-1")
    keep_file(bundle.path / PROFILE, b'{"schema": 2, "threads": {}}', bundle.sha256)
    assert read_profile(bundle) is None
    assert "expected schema 1; found 2" in caplog.text
    assert f"edgekit bench {bundle.path} --tune" in caplog.text


def _shape(value: object, place: str = "") -> dict[str, str]:
    """Returns the kind of value at each place of a JSON value."""
    if isinstance(value, dict):
        return {
            where: kind
            for key in value
            for where, kind in _shape(value[key], f"{place}/{key}").items()
        } | {place: "object"}
    if isinstance(value, list):
        return {
            where: kind for each in value for where, kind in _shape(each, f"{place}/-").items()
        } | {place: "list"}
    kinds = {bool: "bool", int: "number", float: "number", str: "text"}
    return {} if value is None else {place: kinds[type(value)]}


def _shapes(path: Path) -> dict[str, str]:
    if path.suffix != ".jsonl":
        return _shape(json.loads(path.read_text()))
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        found |= _shape(event, event["type"])
    return found


def _of_this_layout() -> list[str]:
    """The files with the present schema, or without one; others have another layout."""
    return [
        name
        for kind, schema in SCHEMAS.items()
        for name in _files(kind)
        if name.endswith(("json", "jsonl")) and int(name.removeprefix(f"{kind}-")[0]) in (0, schema)
    ]


@pytest.mark.parametrize("name", _of_this_layout())
def test_programs_find_every_field_of_earlier_files_in_new_ones(name: str, tmp_path: Path) -> None:
    """A field that is gone or has another type needs a new schema, which programs can tell."""
    kind = name.partition("-")[0]
    (writer,) = [each for each in WRITERS if each.partition(".")[0] == kind]
    WRITERS[writer](tmp_path / writer)
    new = _shapes(tmp_path / writer)
    missing = {
        place: kind for place, kind in _shapes(FILES / name).items() if new.get(place) != kind
    }
    assert not missing


def test_a_schema_is_found_beside_any_fields() -> None:
    from edgekit.files.schemas import schema_in

    assert schema_in(msgspec.json.encode({"x": [1], "schema": 4})) == 4
    assert schema_in(b'{"x": 1}') is None
    assert schema_in(b"[1]") is None
    assert schema_in(b"\xff") is None
