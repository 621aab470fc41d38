"""Tests that constraints.txt has a version of every package that an extra installs.

A package without one is installed in its newest version, which nobody has tried with the others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
THE_TESTED = {"python_version": "3.11", "python_full_version": "3.11.2"}
EDGEKIT = "edgekit-vision"
# They are those of the environment itself.
OF_PYTHON = {"pip"}


def declared() -> Iterator[Requirement]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for lines in (table["dependencies"], *table["optional-dependencies"].values()):
        yield from filter(lambda each: each.name != EDGEKIT, map(Requirement, lines))


def pinned() -> dict[str, set[str]]:
    """Versions by the name of their package."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            (only,) = pin.specifier
            assert only.operator == "==", line
            found.setdefault(canonicalize_name(pin.name), set()).add(only.version)
    return found


def needed(requirement: Requirement) -> list[Requirement]:
    """What an installed package needs on the Python for which the versions are."""
    try:
        lines = map(Requirement, requires(requirement.name) or ())
    except PackageNotFoundError:  # of the environments for pages and releases
        return []
    given = [THE_TESTED | {"extra": extra} for extra in ("", *requirement.extras)]
    return [line for line in lines if not line.marker or any(map(line.marker.evaluate, given))]


def test_each_extra_has_a_version_that_it_takes():
    versions = pinned()
    unfit = [
        str(wanted)
        for wanted in declared()
        if not any(map(wanted.specifier.contains, versions.get(canonicalize_name(wanted.name), ())))
    ]
    assert not unfit


def test_what_the_extras_need_has_versions():
    left, names, seen = list(declared()), set(), set()
    while left:
        wanted = left.pop()
        if str(wanted) not in seen:
            seen.add(str(wanted))
            names.add(canonicalize_name(wanted.name))
            left += needed(wanted)
    assert len(names) > 100
    assert sorted(names - pinned().keys() - OF_PYTHON) == []
