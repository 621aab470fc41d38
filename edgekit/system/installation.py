"""Finds out what EdgeKit was installed from, and the command that installs more of it."""

from __future__ import annotations

import functools
import importlib.util
import platform
import re
import shlex
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgekit.system.distributions import metadata_text

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = [
    "DEVELOPMENT",
    "InstallationSource",
    "Requirement",
    "elsewhere_required",
    "foreign",
    "install_line",
    "origin",
    "requirements",
]

_PACKAGE = Path(__file__).resolve().parents[1]
_NAME = "edgekit-vision"
"""Name of the distribution if no metadata states it."""

_FOREIGN = "edgekit"
"""Name on the public index of another project, whose package is also called `edgekit`."""

_UNPUBLISHED = "Private :: Do Not Upload"
"""Classifier with which the public index refuses a distribution."""

_TORCH = {"host", "ncnn-host", "tflite-host", "all"}
"""Extras that need torch; by default pip would install its CUDA build, which takes gigabytes."""

DEVELOPMENT = {"dev", "docs", "mutation", "release"}
"""Extras for the development of EdgeKit; no command uses them."""

_MARKER = re.compile(
    r"""(python_version|sys_platform|platform_machine)\s*(==|!=|<=|>=|<|>)\s*["']([\w.]+)["']"""
)
"""Condition of a requirement; all conditions of EdgeKit's own requirements must hold."""

_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)""")

_ORDERS = {"<": (-1,), "<=": (-1, 0), "==": (0,), "!=": (-1, 1), ">=": (0, 1), ">": (1,)}
"""Signs of this Python's version minus another, by the comparisons that they satisfy."""

_CPU_TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu"


class _Place(NamedTuple):
    """Machine for which the conditions of a requirement hold or not."""

    python: tuple[int, int]
    system: str
    machine: str


class InstallationSource(NamedTuple):
    """Origin of the installed EdgeKit.

    Attributes:
        name: Name of its distribution.
        place: Path of an existing checkout or wheel, or an address; empty if EdgeKit came from an
            index or its source is gone.
        editable: Whether ``place`` is a checkout whose files are in use.
        published: Whether the public index accepts the distribution.
    """

    name: str
    place: str
    editable: bool
    published: bool


class Requirement(NamedTuple):
    """A distribution that EdgeKit uses.

    Attributes:
        name: Name of the distribution.
        extra: Extra that installs it; empty if it is always needed.
        applies: Whether the extra installs it on this machine and Python.
    """

    name: str
    extra: str
    applies: bool = True


@functools.cache
def origin() -> InstallationSource:
    """Returns the origin, from the metadata of the distribution that holds the running package."""
    owner = _owner()
    name = owner.metadata["Name"] if owner else _NAME
    classifiers = owner.metadata.get_all("Classifier") or [] if owner else [_UNPUBLISHED]
    published = _UNPUBLISHED not in classifiers
    recorded = _direct_url(owner) if owner else {}
    editable = bool(recorded.get("dir_info", {}).get("editable"))
    place = _place(recorded)
    if not recorded and (_PACKAGE.parent / "pyproject.toml").is_file():
        place, editable = str(_PACKAGE.parent), True  # run from a checkout, not installed
    return InstallationSource(name, place, editable, published)


def install_line(*extras: str, options: str = "", upgrade: bool = False) -> str:
    """Returns the command that installs EdgeKit again from its origin, with extras.

    Args:
        extras: Names of the extras to add.
        options: Further options of ``pip install``.
        upgrade: Whether to install the newest version from the same origin.
    """
    found = origin()
    place = Path(found.place) if Path(found.place).is_absolute() else None
    ours = place if place and (place.is_dir() or not upgrade) else None
    what = f"[{','.join(extras)}]" if extras else ""
    if ours:
        wanted = f"{ours}{what}"
    elif found.place and not place:
        wanted = f"{found.name}{what} @ {found.place}"
    else:
        wanted = f"{found.name}{what}"
    flags = [options, "-U" if upgrade and not ours else "", "-e" if ours and found.editable else ""]
    steps = [" ".join(filter(None, ["pip install", *flags, _quoted(wanted)]))]
    if upgrade and ours and (ours / ".git").exists():
        steps.insert(0, f"git -C {_quoted(str(ours))} pull")
    if _TORCH & {*extras} and sys.platform == "linux" and not importlib.util.find_spec("torch"):
        steps.insert(0, _CPU_TORCH)
    line = " && ".join(steps)
    if not (ours or found.published or "://" in wanted):
        line += f"  # {found.name} is not on the public index yet: add --find-links WHEELS"
    return line


def requirements() -> list[Requirement]:
    """Returns what EdgeKit needs on this machine, and what its extras add, from the metadata.

    The development extra is left out, as are entries that only repeat other extras, and what other
    Pythons always need.
    """
    found: dict[str, Requirement] = {}
    for line in _lines():
        name = re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0]
        extra = _EXTRA.search(line)
        applies = _applies(line, _here())
        if name == origin().name or (extra[1] in DEVELOPMENT if extra else not applies):
            continue
        found.setdefault(name, Requirement(name, extra[1] if extra else "", applies))
    return list(found.values())


def elsewhere_required(
    extras: Collection[str], *, python: tuple[int, int], machine: str
) -> list[str]:
    """Returns what extras need on a Linux machine and not here, with versions, as pip takes it.

    Args:
        extras: Names of the extras.
        python: Version of the Python there.
        machine: Architecture there, such as ``aarch64``.
    """
    there = _Place(python, "linux", machine)
    return [
        line.partition(";")[0].strip()
        for line in _lines()
        if (extra := _EXTRA.search(line)) is None or extra[1] in extras
        if _applies(line, there) and not _applies(line, _here())
    ]


def _lines() -> list[str]:
    """Returns the requirements in the metadata of EdgeKit, with their conditions."""
    owner = _owner()
    return (owner.requires or []) if owner else _declared()


def _here() -> _Place:
    return _Place(sys.version_info[:2], sys.platform, platform.machine())


def _applies(line: str, place: _Place) -> bool:
    """Returns whether the conditions of a requirement hold, but for its extra."""
    return all(_is_met(place, *marker.groups()) for marker in _MARKER.finditer(line))


def _is_met(place: _Place, name: str, comparison: str, value: str) -> bool:
    if name == "python_version":
        here, there = place.python, tuple(int(part) for part in value.split("."))
        order = (here > there) - (here < there)
        return order in _ORDERS[comparison]
    found = place.system if name == "sys_platform" else place.machine
    return (found == value) == (comparison == "==")


def _declared() -> list[str]:
    """Returns the requirements in the project file of a checkout that is not installed."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        project = tomllib.loads((_PACKAGE.parent / "pyproject.toml").read_text())["project"]
    except OSError:
        return []
    extras = project["optional-dependencies"].items()
    return [
        *project["dependencies"],
        *(f'{line}; extra == "{extra}"' for extra, lines in extras for line in lines),
    ]


def foreign() -> str | None:
    """Returns name and version of another project's distribution with a package `edgekit`."""
    owner = _owner()
    summary = owner.metadata["Summary"] if owner else None
    for other in _distributions(name=_FOREIGN):
        # Our distribution had this name once, and a checkout may still hold that old metadata.
        if owner and owner.metadata["Name"] != _FOREIGN and other.metadata["Summary"] != summary:
            return f"{other.metadata['Name']} {other.version}"
    return None


def _owner() -> Distribution | None:
    """Returns the distribution that holds the running package, among all installed ones."""
    owners = [one for one in _distributions() if _holds(one)]
    return min(owners, key=_rank, default=None)


def _distributions(name: str | None = None) -> Iterable[Distribution]:
    # This imports the email package, and most runs do not need it.
    from importlib.metadata import distributions

    return distributions(name=name) if name else distributions()


def _rank(distribution: Distribution) -> tuple[bool, bool, bool]:
    name = distribution.metadata["Name"]
    return name != _NAME, name == _FOREIGN, not _direct_url(distribution)


def _holds(distribution: Distribution) -> bool:
    try:
        if _PACKAGE.name not in metadata_text(distribution, "top_level.txt").split():
            return False
    except (OSError, ValueError):
        return False
    recorded = _direct_url(distribution)
    if recorded.get("dir_info", {}).get("editable"):
        return Path(_place(recorded) or "/").resolve() == _PACKAGE.parent
    return Path(str(distribution.locate_file(_PACKAGE.name))).resolve() == _PACKAGE


def _direct_url(distribution: Distribution) -> dict[str, dict[str, object]]:
    import json

    text = metadata_text(distribution, "direct_url.json")
    found: dict[str, dict[str, object]] = json.loads(text) if text else {}
    return found


def _place(recorded: dict[str, dict[str, object]]) -> str:
    """Returns an existing path, or an address in pip's form; empty if there is neither."""
    url = str(recorded.get("url", ""))
    if url.startswith("file:"):
        from urllib.parse import urlparse
        from urllib.request import url2pathname  # which brings http and ssl

        path = url2pathname(urlparse(url).path)
        return path if Path(path).exists() else ""
    vcs = recorded.get("vcs_info", {})
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url


def _quoted(text: str) -> str:
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'
