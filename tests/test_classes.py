"""Tests class lists: the published ones and a user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.classes import CLASS_LISTS, alike, class_names, default_classes
from edgekit.errors import UsageError


def test_published_lists_have_their_lengths_and_no_name_twice() -> None:
    lengths = {name: len(names) for name, names in CLASS_LISTS.items()}
    assert lengths == {"ucf24": 24, "jhmdb21": 21, "coco": 80, "voc": 20}
    for names in CLASS_LISTS.values():
        assert len(set(names)) == len(names)
    for name in ("ucf24", "jhmdb21", "voc"):
        assert list(CLASS_LISTS[name]) == sorted(CLASS_LISTS[name])
    assert CLASS_LISTS["coco"][0] == "person"
    assert CLASS_LISTS["coco"][79] == "toothbrush"


@pytest.mark.shared
def test_ucf24_is_in_the_order_of_its_annotations(shared: Path) -> None:
    annotations = json.loads((shared / "ucf24" / "annotations.json").read_text())
    assert class_names("ucf24") == tuple(annotations["classes"])


def test_file_of_names(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffone\r\n two words \n\nläuft\n".encode())
    assert class_names(str(path)) == ("one", "two words", "läuft")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\na\n", "has a twice"),
        (b"".join(b"%06d\n" % (n % 50_000) for n in range(100_000)), "has 000000, .*000004 twice"),
        (b"\n \n", "has none"),
        (b"\xff\xfe\xff", "not text in UTF-8"),
        (None, "cannot be read: No such file"),
    ],
)
def test_wrong_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        class_names(str(path))


def test_default_names() -> None:
    assert default_classes(21, 3) == default_classes(21, 6) == CLASS_LISTS["jhmdb21"]
    assert default_classes(2, 3) == ("class0", "class1")


@pytest.mark.parametrize(("name", "count"), [("coco", 80), ("voc", 20)])
def test_a_network_of_pairs_of_pictures_has_no_classes_of_pictures(name: str, count: int) -> None:
    assert default_classes(count, 3) == CLASS_LISTS[name]
    assert default_classes(count, 6)[-1] == f"class{count - 1}"


def test_names_that_differ_in_case_or_spaces_only_are_alike() -> None:
    names = ["wave", "jump", "Wave", " wave", "sit  down", "Sit down", "jump"]
    expected = [("wave", "Wave"), ("wave", " wave"), ("sit  down", "Sit down")]
    assert alike(names) == expected
