from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest

from edgekit.datasets._locations import VideoFinder, pictures_in, place_below, places_among
from edgekit.datasets.annotations import read_annotations
from edgekit.datasets.published import read_truth

FORMS = [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")]


@pytest.mark.parametrize(("said", "there"), FORMS)
def test_an_accented_letter_is_found_in_both_spellings(
    tmp_path: Path, clip: Callable[..., Path], said: str, there: str
) -> None:
    name = normalize(said, "Jürgen/Müller.mp4")
    path = tmp_path / normalize(there, "videos/Jürgen/Müller.mp4")
    clip(path)
    assert VideoFinder(tmp_path).path_of(name) == path
    assert VideoFinder(tmp_path).path_of(name.removesuffix(".mp4")) == path
    annotated = {"width": 64, "height": 48, "frames": 30, "tubes": []}
    file = tmp_path / "videos/annotations.json"
    file.write_text(json.dumps({"classes": ["a"], "videos": {name: annotated}}))
    (video,) = read_annotations(file).videos
    assert (video.name, video.path) == (name, path)


def test_the_spelling_of_the_annotations_comes_first(tmp_path: Path) -> None:
    names = [normalize(form, "Müller.mp4") for form in ("NFC", "NFD")]
    for name in names:
        (tmp_path / name).touch()
    assert [place_below(tmp_path, name).name for name in names] == names
    assert place_below(tmp_path, "Möller.mp4") == tmp_path / "Möller.mp4"


def test_a_name_of_another_spelling_leads_to_files_and_folders_only(tmp_path: Path) -> None:
    (tmp_path / normalize("NFD", "Müller.mp4")).symlink_to("/dev/null")
    with pytest.raises(ValueError, match="neither a regular file nor a folder"):
        place_below(tmp_path, normalize("NFC", "Müller.mp4"))


@pytest.mark.parametrize(("said", "there"), FORMS)
def test_pictures_are_found_in_both_spellings(
    tmp_path: Path, clip: Callable[..., Path], said: str, there: str
) -> None:
    for number, picture in enumerate(sorted(clip(tmp_path / "kür", 2).iterdir())):
        picture.rename(picture.with_name(normalize(there, f"kür{number}.jpg")))
    names = [normalize(said, f"kür{number}.jpg") for number in (1, 0)]
    assert places_among(pictures_in(tmp_path / "kür"), names) == [1, 0]


@pytest.mark.parametrize(("said", "there"), FORMS)
def test_a_folder_of_labels_is_a_class_in_both_spellings(
    tmp_path: Path, said: str, there: str
) -> None:
    folder = tmp_path / "labels" / normalize(there, "kür/a")
    folder.mkdir(parents=True)
    (folder / "00001.txt").write_text("1 1 2 3 4")
    (tmp_path / "testlist.txt").write_text(normalize(said, "labels/kür/a/00001.txt\n"))
    truth = read_truth("yowo", tmp_path)
    assert (truth.classes, len(truth.videos[0].tubes)) == ([normalize("NFC", "kür")], 1)
