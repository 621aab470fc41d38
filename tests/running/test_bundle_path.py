"""Tests where the path of a bundle leads, whatever is there at the moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bundle import MANIFEST
from edgekit.running.bundle_path import BundlePath


def bundle(folder: Path) -> Path:
    folder.mkdir()
    (folder / MANIFEST).write_text("{}")
    return folder


def lead_to(link: Path, target: Path | str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def test_a_changed_link_is_seen_once(tmp_path: Path) -> None:
    link = tmp_path / "current"
    lead_to(link, bundle(tmp_path / "a"))
    place = BundlePath(link)
    assert [place.changed_target() for _ in range(2)] == [tmp_path / "a", None]
    lead_to(link, bundle(tmp_path / "b"))
    assert [place.changed_target() for _ in range(2)] == [tmp_path / "b", None]


def test_a_link_that_was_asked_for_is_not_seen_again(tmp_path: Path) -> None:
    link = tmp_path / "current"
    lead_to(link, bundle(tmp_path / "a"))
    place = BundlePath(link)
    assert place.target() == tmp_path / "a"
    assert place.changed_target() is None, "a bundle would be refused twice"
    assert place.target() == tmp_path / "a"
    lead_to(link, bundle(tmp_path / "b"))
    assert place.changed_target() == tmp_path / "b"


@pytest.mark.parametrize(
    "target",
    ["x" * 256, "/".join(["y" * 20] * 190), "current", "nowhere", "/dev/null/x", "/proc/1/root/x"],
)
def test_a_link_to_nothing_is_followed_to_the_next_bundle(tmp_path: Path, target: str) -> None:
    link = tmp_path / "current"
    lead_to(link, bundle(tmp_path / "a"))
    place = BundlePath(link)
    assert place.changed_target() == tmp_path / "a"
    lead_to(link, target)
    assert place.changed_target() is None, "it may be the moment between two links"
    assert place.changed_target() is not None
    assert place.changed_target() is None
    lead_to(link, bundle(tmp_path / "b"))
    assert place.changed_target() == tmp_path / "b"
