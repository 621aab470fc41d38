from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgekit.cli import main


@pytest.fixture
def clips(footage: Path, tmp_path: Path) -> Path:
    """A dataset of one's own."""
    shutil.copytree(footage, tmp_path / "clips")
    return tmp_path / "clips"


def said(capsys: Any, *words: object) -> dict[str, Any]:
    """What a command that succeeds prints as JSON."""
    assert main([*map(str, words), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_sheet_that_is_no_picture_is_said_in_time(
    clips: Path, tmp_path: Path, capsys: Any
) -> None:
    sheet = tmp_path / "sheet.txt"
    assert main(["dataset", "inspect", str(clips), "--sheet", str(sheet)]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Choose a name that ends in .png." in printed.err
    assert not sheet.exists()


def test_a_dataset_is_inspected(clips: Path, tmp_path: Path, capsys: Any) -> None:
    found = said(capsys, "dataset", "inspect", clips, "--sheet", tmp_path / "sheet.png")
    assert (found["layout"], found["parts"]["all"]["videos"]) == ("json", 1)
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    assert main(["dataset", "inspect", str(clips)]) == 0
    shown = capsys.readouterr().out
    assert "1 video (1 found)" in shown
    assert "box height" in shown


def test_a_good_dataset_passes_the_check(clips: Path, capsys: Any) -> None:
    assert main(["dataset", "check", str(clips), "--decode"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_what_is_wrong_is_listed_with_status_3(clips: Path, capsys: Any) -> None:
    (video,) = (path for path in clips.iterdir() if path.suffix != ".json")
    video.unlink()
    assert main(["dataset", "check", str(clips)]) == 3
    shown = capsys.readouterr()
    assert f"{video.name}: The video is missing" in shown.out
    assert f"Error: 1 fault in {clips}. Videos whose annotations can be read: 1.\n" in shown.err
    assert main(["dataset", "check", str(clips), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [fault["video"] for fault in found["faults"]] == [video.name]
    assert found["error"]["status"] == 3


def test_a_check_says_what_mends_a_fault_of_the_annotations(tmp_path: Path, capsys: Any) -> None:
    meta = "<meta><task><size>1</size><mode>annotation</mode></task></meta>"
    image = '<image id="0" name="1.jpg" width="64" height="48"></image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{meta}{image}</annotations>")
    assert main(["dataset", "check", str(tmp_path)]) == 3
    found = capsys.readouterr()
    assert "it has pictures (1), and tracks of a video were expected" in found.out
    assert "In CVAT, export the task as 'CVAT for video 1.1'" in found.err
    assert "and run the command again." in found.err
    assert main(["dataset", "check", str(tmp_path), "--json"]) == 3
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault["hint"].startswith("In CVAT, export the task as")


def test_a_dataset_is_converted_and_divided(clips: Path, tmp_path: Path, capsys: Any) -> None:
    (video,) = (path for path in clips.iterdir() if path.suffix != ".json")
    content = json.loads((clips / "annotations.json").read_text())
    for number in range(1, 5):
        shutil.copy(video, clips / f"{number}{video.name}")
        content["videos"][f"{number}{video.name}"] = content["videos"][video.name]
    (clips / "annotations.json").write_text(json.dumps(content))
    new = tmp_path / "new"
    found = said(capsys, "dataset", "convert", clips, "--from", "json", "-o", new)
    assert found["videos"] == {"annotations.json": 5}
    found = said(capsys, "dataset", "split", new, "--train", 0.6, "--seed", 3)
    assert found["videos"] == {"annotations-train.json": 3, "annotations-test.json": 2}
    parts = said(capsys, "dataset", "inspect", new)["parts"]
    assert [(name, part["videos"], part["found"]) for name, part in parts.items()] == [
        ("train", 3, 3), ("test", 2, 2),
    ]  # fmt: skip
    assert main(["dataset", "check", str(new)]) == 0
    assert main(["dataset", "split", str(new)]) == 3
    assert "Add --force" in capsys.readouterr().err
    content["videos"][f"5{video.name}"] = content["videos"][video.name]
    (new / "annotations.json").write_text(json.dumps(content))
    os.utime(new / "annotations-train.json", (0, 0))
    found = said(capsys, "dataset", "split", new, "--force", "--train", 0.5)
    assert found["videos"] == {"annotations-train.json": 3, "annotations-test.json": 3}
    (new / "annotations.json").unlink()
    found = said(capsys, "dataset", "split", new, "--force", "--train", 0.7)
    assert found["videos"] == {"annotations-train.json": 4, "annotations-test.json": 2}


def test_one_part_is_converted_to_the_file_of_that_part(
    clips: Path, tmp_path: Path, capsys: Any
) -> None:
    new = tmp_path / "new"
    found = said(capsys, "dataset", "convert", clips, "--part", "train", "-o", new)
    assert found["videos"] == {"annotations-train.json": 1}
    assert main(["dataset", "inspect", str(new), "--part", "test"]) == 3
    assert "found annotations-train.json, of the part train" in capsys.readouterr().err
    assert main(["dataset", "inspect", str(new)]) == 3
    assert "For the other part: --part train" in capsys.readouterr().err


def test_a_part_without_its_list_names_the_other(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "labels/wave/a").mkdir(parents=True)
    (tmp_path / "labels/wave/a/00001.txt").write_text("1 1 2 3 4")
    (tmp_path / "testlist.txt").write_text("labels/wave/a/00001.txt")
    assert main(["dataset", "inspect", str(tmp_path)]) == 3
    assert "For the other part: --part test" in capsys.readouterr().err
    assert said(capsys, "dataset", "inspect", tmp_path, "--part", "test")["layout"] == "yowo"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["inspect", "nothere"], 3, "nothere is no folder. Expected one of the layouts json"),
        (["inspect", "nothere", "--dataset", "cvta"], 2, "Did you mean cvat?"),
        (["split", "nothere", "--train", "1"], 2, "--train"),
        (["split", "nothere", "--group", "("], 3, "nothere is no folder"),
        (["convert", "nothere"], 2, "--out"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], status: int, message: str, capsys: Any) -> None:
    assert main(["dataset", *words]) == status
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_other_layouts_of_a_folder_are_named(clips: Path, capsys: Any, caplog: Any) -> None:
    (clips / "splitfiles").mkdir()
    (clips / "splitfiles/pyannot.pkl").touch()
    assert main(["dataset", "inspect", str(clips), "--dataset", "json"]) == 0
    assert not caplog.text
    assert main(["dataset", "inspect", str(clips)]) == 3
    assert caplog.text.count("To choose json, use --dataset.") == 1
