"""Tests what a release refuses before anything is built."""

from __future__ import annotations

import subprocess

import pytest

from edgekit.errors import BoundError
from release.preflight import check_release, version_of


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "edgekit").mkdir()
    (tmp_path / "edgekit" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.2.3 (2026-12-01)\n\n## Unreleased\n"
    )
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "All")
    return tmp_path


def test_a_checkout_that_agrees_with_itself_can_be_released(checkout):
    (checkout / "untracked.txt").write_text("notes")
    assert check_release(checkout, rehearsal=False) == "1.2.3"
    git(checkout, "tag", "v1.2.3")
    assert check_release(checkout, rehearsal=False) == "1.2.3"


@pytest.mark.parametrize(
    "heading", ["Unreleased", "1.2.4 (2026-12-01)", "1.2.3", "1.2.3 (soon)", "11.2.3 (2026-12-01)"]
)
def test_the_changelog_must_name_the_version_and_a_date(checkout, heading):
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n")
    git(checkout, "commit", "-q", "-a", "-m", "Changelog")
    with pytest.raises(BoundError, match=r"found '## ") as caught:
        check_release(checkout, rehearsal=False)
    assert heading in str(caught.value)
    if heading == "Unreleased":
        assert check_release(checkout, rehearsal=True) == "1.2.3"
    else:
        with pytest.raises(BoundError):
            check_release(checkout, rehearsal=True)


def test_uncommitted_changes_are_refused(checkout):
    (checkout / "CHANGELOG.md").write_text("# Changelog\n")
    with pytest.raises(BoundError, match=r"without uncommitted changes; found 1: .*CHANGELOG.md"):
        check_release(checkout, rehearsal=True)


def test_the_tag_of_another_commit_is_refused(checkout):
    git(checkout, "tag", "v1.2.3")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "More")
    with pytest.raises(BoundError, match=r"v1\.2\.3 is the tag of another commit"):
        check_release(checkout, rehearsal=False)


def test_sources_without_a_version_are_refused(checkout):
    (checkout / "edgekit" / "__init__.py").write_text("")
    with pytest.raises(BoundError, match="__version__"):
        version_of(checkout)
