"""Checks before a release that the version, the changelog and the checkout agree."""

from __future__ import annotations

import re
from pathlib import Path

from edgekit.errors import BoundError
from release.sources import commit_of, git

__all__ = ["check_release", "version_of"]


def version_of(checkout: Path) -> str:
    """Returns the version in the sources.

    Raises:
        BoundError: There is none.
    """
    text = (checkout / "edgekit" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.M)
    if found is None:
        raise BoundError('Expected a line __version__ = "X.Y.Z" in edgekit/__init__.py.')
    return found[1]


def check_release(checkout: Path, *, rehearsal: bool) -> str:
    """Checks that a checkout can be released, and returns its version.

    Args:
        checkout: Git checkout.
        rehearsal: Whether changes may still be listed as unreleased.

    Raises:
        BoundError: There are uncommitted changes, the changelog does not begin with this version
            and its date, or another commit has the tag of the version.
    """
    version = version_of(checkout)
    changed = git(checkout, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise BoundError(
            f"Expected a checkout without uncommitted changes; found {len(changed)}: {changed[0]}",
            hint="Commit the changes: a release is built from a commit.",
        )
    changelog = (checkout / "CHANGELOG.md").read_text()
    heading = next(iter(re.findall(r"^## (.*)$", changelog, re.M)), "")
    dated = re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading)
    if not (dated or (rehearsal and heading == "Unreleased")):
        raise BoundError(
            f"Expected the first heading of CHANGELOG.md to be '## {version} (YYYY-MM-DD)'; "
            f"found '## {heading}'.",
            hint="Change the heading and commit it, or rehearse: make release REHEARSAL=1",
        )
    tag = f"v{version}"
    if git(checkout, "tag", "--list", tag).strip() and commit_of(checkout, tag) != commit_of(
        checkout
    ):
        raise BoundError(
            f"Expected a version without a tag; {tag} is the tag of another commit.",
            hint="Increase __version__ in edgekit/__init__.py.",
        )
    return version
