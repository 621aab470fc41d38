"""Installs a release on each Python with each extra, and writes what users get."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgeKitError
from release.environments import Environment, check, extras_of, fresh, install_line
from release.inventory import licences, write_sbom
from release.sizes import installed_sizes
from release.wheels import PURE

__all__ = ["Outcome", "install_everywhere", "table"]

_WHOLE = "all"
"""Extra with every package that users can install."""


@dataclass(frozen=True, slots=True)
class Outcome:
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
    version: str,
    time: int,
    interpreters: Sequence[str],
    extras: Sequence[str] | None,
    say: Callable[[str], None],
) -> tuple[list[Outcome], dict[str, int]]:
    """Installs the release with the line of the README, and checks each installation.

    With the first Python it also writes the bills of materials and the list of licences.

    Args:
        checkout: Checkout with the README, the constraints and the tests.
        wheels: Folder with the files of the release, and for the new files.
        version: Version of the release.
        time: Time in the new files, in seconds since 1970.
        interpreters: Paths or names of the Pythons.
        extras: Extras to install; None for each.
        say: Called with a line about each installation.

    Returns:
        The outcomes, and the sizes of the device side by its OpenCV in bytes.
    """
    (pure,) = wheels.glob(f"*-{PURE}.whl")
    wanted = ["", PURE, *(extras_of(pure) if extras is None else extras)]
    outcomes: list[Outcome] = []
    sboms: dict[str, Path] = {}
    sizes: dict[str, int] = {}

    def describe(place: Environment, extra: str) -> None:
        if extra in ("", _WHOLE) and extra not in {outcome.extra for outcome in outcomes}:
            name = "the device side" if not extra else f"the extra {extra}"
            sboms[name] = wheels / f"edgekit-{version}-{extra or 'device'}.cdx.json"
            write_sbom(place.folder, checkout / "pyproject.toml", sboms[name], time)
            if not extra:
                sizes.update(installed_sizes(place))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pure").mkdir()
        (folder / "pure" / pure.name).symlink_to(pure.resolve())
        for python in interpreters:
            for extra in wanted:
                source = folder / "pure" if extra == PURE else wheels
                outcome = _installed(python, folder, checkout, source, version, extra, describe)
                outcomes.append(outcome)
                say(f"Python {outcome.python}, {extra or 'device'}: {outcome.problem or 'works'}")
    (wheels / f"edgekit-{version}-licences.md").write_text(licences(sboms, checkout))
    return outcomes, sizes


def table(outcomes: Sequence[Outcome]) -> str:
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
    version: str,
    extra: str,
    then: Callable[[Environment, str], None],
) -> Outcome:
    """Installs once, and checks the installation."""
    found = python
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
        return Outcome(found, extra, str(error))
    return Outcome(found, extra, "")
