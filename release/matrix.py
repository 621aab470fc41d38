"""Installs a release on each Python with each extra, and checks the installations.

    python -m release.matrix dist --python python3.13 --extras video,serve

Run it in the checkout. ``make release`` does the same; this checks a release on another machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import BadInputError, EdgeKitError, UsageError
from release.environments import (
    PYTHONS,
    Environment,
    check,
    extras_of,
    fresh,
    install_line,
    pythons,
)
from release.wheels import PURE

__all__ = ["Installation", "install_everywhere", "main", "table"]


@dataclass(frozen=True, slots=True)
class Installation:
    """Result of one installation.

    Attributes:
        python: Version of Python, or its path if it cannot make an environment.
        extra: Installed extra; empty for the device side alone, ``any`` for the wheel without
            compiled kernels.
        problem: What failed; empty if everything worked.
    """

    python: str
    extra: str
    problem: str


def install_everywhere(
    checkout: Path,
    wheels: Path,
    interpreters: Sequence[str],
    extras: Sequence[str] | None,
    then: Callable[[Environment, str], None] = lambda place, extra: None,
) -> list[Installation]:
    """Installs the release with the line of the README, and checks and prints each outcome.

    Args:
        checkout: Checkout with the README, the constraints and the tests.
        wheels: Folder with the files of the release.
        interpreters: Paths or names of the Pythons.
        extras: Extras to install beside the device side alone; None for each.
        then: Called with each environment that works and its extra.

    Raises:
        UsageError: There is no Python, or no such extra.
        BadInputError: The folder has no release.
    """
    if not interpreters:
        raise UsageError(f"Expected one of these on the PATH: Python {', '.join(PYTHONS)}.")
    pure = _pure_wheel(wheels)
    known = extras_of(pure)
    for extra in extras or ():
        if extra not in known:
            raise UsageError(f"Expected an extra: {', '.join(known)}; found {extra!r}.")
    wanted = ["", PURE, *(known if extras is None else extras)]
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pure").mkdir()
        (folder / "pure" / pure.name).symlink_to(pure.resolve())
        for python in interpreters:
            for extra in wanted:
                source = folder / "pure" if extra == PURE else wheels
                outcome = _installed(python, folder, checkout, source, extra, then)
                outcomes.append(outcome)
                said = outcome.problem or "works"
                print(f"Python {outcome.python}, {extra or 'device'}: {said}", flush=True)
    return outcomes


def table(outcomes: Sequence[Installation]) -> str:
    """Returns the outcomes as a table in Markdown, with a column for each Python."""
    pythons = list(dict.fromkeys(outcome.python for outcome in outcomes))
    extras = list(dict.fromkeys(outcome.extra for outcome in outcomes))
    cells = {(one.extra, one.python): "fails" if one.problem else "works" for one in outcomes}
    names = {"": "device side", PURE: "device side, pure wheel"}
    lines = [f"| installed | {' | '.join(pythons)} |", f"| --- {'| --- ' * len(pythons)}|"]
    for extra in extras:
        row = [cells.get((extra, python), "not tried") for python in pythons]
        lines.append(f"| {names.get(extra, extra)} | {' | '.join(row)} |")
    lines += [
        f"\n{one.python}, {names.get(one.extra, one.extra)}: {one.problem}"
        for one in outcomes
        if one.problem
    ]
    return "\n".join(lines)


def _installed(
    python: str,
    folder: Path,
    checkout: Path,
    wheels: Path,
    extra: str,
    then: Callable[[Environment, str], None],
) -> Installation:
    """Installs once, and checks the installation."""
    found = python
    version = _pure_wheel(wheels).name.split("-")[1]
    try:
        with fresh(python, folder / "environment") as place:
            found = place.version
            readme = (checkout / "README.md").read_text()
            line = install_line(readme, wheels, "" if extra == PURE else extra)
            constraints = str((checkout / "constraints.txt").resolve())
            place.run("pip", *line, "-q", "-c", constraints)
            check(place, version, "" if extra == PURE else extra, kernels=extra != PURE)
            if extra in ("", PURE):
                place.run("python", str((checkout / "tests" / "smoke.py").resolve()))
            then(place, extra)
    except EdgeKitError as error:
        return Installation(found, extra, str(error))
    return Installation(found, extra, "")


def _pure_wheel(wheels: Path) -> Path:
    found = sorted(wheels.glob(f"edgekit_vision-*-{PURE}.whl"))
    if len(found) != 1:
        raise BadInputError(
            f"Expected one wheel edgekit_vision-VERSION-py3-none-any.whl in {wheels}; "
            f"found {len(found)}.",
            hint="Run: make release",
        )
    return found[0]


def main(arguments: list[str] | None = None) -> int:
    """Prints the table of installations, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m release.matrix", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with the files of a release")
    parser.add_argument("--python", action="append", help="default: each supported one on PATH")
    parser.add_argument("--extras", help="extras to install, with commas; default: each")
    given = parser.parse_args(arguments)
    extras = [*filter(None, given.extras.split(","))] if given.extras is not None else None
    try:
        outcomes = install_everywhere(Path(), given.folder, given.python or pythons(), extras)
    except EdgeKitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    print(table(outcomes))
    return 5 if any(outcome.problem for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
