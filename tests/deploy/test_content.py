"""Tests which files of a bundle are copied to a device."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import MANIFEST, Bundle, load_bundle
from edgekit.deploy import content
from edgekit.deploy.content import bundle_content, input_content
from edgekit.deploy.on_device import connection
from edgekit.errors import BadInputError, BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def test_a_signature_belongs_to_the_bundle_and_a_profile_to_the_machine(bundle: Bundle) -> None:
    files = {entry.path for entry in bundle.manifest.files} | {MANIFEST}
    assert bundle_content(bundle).sources.keys() == files
    (bundle.path / "engines").mkdir()
    for name in ("signature.json", "profile.json", "engines/a.engine"):
        (bundle.path / name).write_text("{}")
    assert bundle_content(bundle).sources.keys() == {*files, "signature.json"}


@pytest.mark.parametrize("name", ["model", MANIFEST])
def test_a_file_that_changed_since_it_was_checked(bundle: Bundle, name: str) -> None:
    path = bundle.path / (bundle.manifest.model if name == "model" else name)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match="has changed since EdgeKit verified") as caught:
        bundle_content(bundle)
    assert str(path) in caught.value.message


def test_nothing_but_the_files_of_the_manifest_leaves_this_machine(
    bundle: Bundle, tmp_path: Path
) -> None:
    secret = tmp_path / "id_ed25519"
    secret.write_text("a private key")
    before = bundle_content(bundle).sources.keys()
    for name in ("notes.txt", "signature.json"):
        (bundle.path / name).symlink_to(secret)
    (bundle.path / "more").mkdir()
    (bundle.path / "more" / "LICENSE").write_text("text")
    assert bundle_content(bundle).sources.keys() == before


@pytest.mark.parametrize("name", ["missing", "long" * 100])
def test_what_is_not_there_cannot_be_sent(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="Expected a file or a folder"):
        input_content(tmp_path / name)


def test_linked_folders_are_sent_with_what_is_in_them(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures" / "Walk" / "v"
    pictures.mkdir(parents=True)
    (pictures / "1.jpg").write_text("a picture")
    (pictures / "again").symlink_to(pictures.parent)
    clips = tmp_path / "clips"
    (clips / "Walk").mkdir(parents=True)
    (clips / "annotations.json").write_text("{}")
    for name in ("Walk/v", "copy"):
        (clips / name).symlink_to(pictures)
    (clips / "lost").symlink_to("nowhere")
    names = {"annotations.json", "Walk/v/1.jpg", "copy/1.jpg"}
    assert input_content(clips).sources.keys() == {f"clips/{name}" for name in names}


def test_more_files_than_a_device_can_list_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"{number:05}.jpg").touch()
    monkeypatch.setattr(content, "_MOST_LIST", 20 * 200)
    assert len(input_content(tmp_path).files) == 20
    monkeypatch.setattr(content, "_MOST_LIST", 20 * 120)
    with pytest.raises(BadInputError, match="found 20") as caught:
        input_content(tmp_path)
    assert "fewer files" in (caught.value.hint or "")


def test_the_longest_list_of_files_fits_a_request(tmp_path: Path) -> None:
    file = {"path": "", "size": 10**12, "sha256": "0" * 64}
    assert len(json.dumps(file)) + len(", ") <= content._ENTRY
    head = {"do": "missing", "with": {"kind": "inputs", "digest": "0" * 64, "files": []}}
    assert content._MOST_LIST + len(json.dumps(head)) <= connection._LONGEST_LINE
