"""What EdgeKit was installed from, and the command that installs more of it."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["Origin", "Requirement", "foreign", "install_line", "origin", "requirements"]

_PACKAGE = Path(__file__).resolve().parent
_NAME = "edgekit-vision"
"""Name of the distribution where no metadata tells it."""

_FOREIGN = "edgekit"
"""Name on the public index of another project's distribution, whose package is also `edgekit`."""

_UNPUBLISHED = "Private :: Do Not Upload"
"""The public index refuses a distribution with this classifier."""

_TORCH = {"host", "tflite-host", "all"}
"""Extras that bring torch. By itself pip would take the one for CUDA, gigabytes of it."""

_DEVELOPMENT = "dev"
"""The extra for those who work on EdgeKit; no command uses it."""

_CPU_TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu"


class Origin(NamedTuple):
    """Where the installed EdgeKit came from.

    Attributes:
        name: Name of its distribution.
        place: A checkout or a wheel that is still there, or an address; empty where it came from
            an index, or what it came from is gone.
        editable: Whether ``place`` is a checkout whose files are in use.
        published: Whether the public index may have it.
    """

    name: str
    place: str
    editable: bool
    published: bool


class Requirement(NamedTuple):
    """A distribution that EdgeKit uses, and the extra that installs it; empty for what all need."""

    name: str
    extra: str


@functools.cache
def origin() -> Origin:
    """What the metadata of the distribution that holds the running package says of its origin."""
    owner = _owner()
    name = owner.metadata["Name"] if owner else _NAME
    classifiers = owner.metadata.get_all("Classifier") or [] if owner else [_UNPUBLISHED]
    published = _UNPUBLISHED not in classifiers
    told = _direct_url(owner) if owner else {}
    editable = bool(told.get("dir_info", {}).get("editable"))
    place = _place(told)
    if not told and (_PACKAGE.parent / "pyproject.toml").is_file():
        place, editable = str(_PACKAGE.parent), True  # run from a checkout, not installed
    return Origin(name, place, editable, published)


def install_line(*extras: str, options: str = "", upgrade: bool = False) -> str:
    """The command that installs EdgeKit again as it was installed, with extras.

    Args:
        extras: Names of the extras to add.
        options: Further options of ``pip install``.
        upgrade: It takes the newest version from where EdgeKit came from.
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
    """What the installed distribution says that it needs on this machine, and what its extras add.

    The extra for its own development is left out, and so is what only repeats other extras.
    """
    owner = _owner()
    found: dict[str, Requirement] = {}
    for line in (owner.requires or []) if owner else _declared():
        name = re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0]
        extra = re.search(r"""extra\s*==\s*["']([^"']+)""", line)
        older = re.search(r"""python_version\s*<\s*["'](\d+)\.(\d+)""", line)
        if older and sys.version_info >= (int(older[1]), int(older[2])):
            continue
        if name != origin().name and (extra is None or extra[1] != _DEVELOPMENT):
            found.setdefault(name, Requirement(name, extra[1] if extra else ""))
    return list(found.values())


def _declared() -> list[str]:
    """The requirements in the project file of a checkout that is not installed."""
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
    """Name and version of another project's distribution that also holds a package `edgekit`."""
    owner = _owner()
    summary = owner.metadata["Summary"] if owner else None
    for other in _distributions(name=_FOREIGN):
        # Ours had this name once, and a checkout may still hold the metadata of that time.
        if owner and owner.metadata["Name"] != _FOREIGN and other.metadata["Summary"] != summary:
            return f"{other.metadata['Name']} {other.version}"
    return None


def _owner() -> Distribution | None:
    """The distribution that holds the running package, of all that are installed."""
    owners = [one for one in _distributions() if _holds(one)]
    return min(owners, key=_rank, default=None)


def _distributions(name: str | None = None) -> Iterable[Distribution]:
    # It brings the email package, and most runs need none of this module.
    from importlib.metadata import distributions

    return distributions(name=name) if name else distributions()


def _rank(distribution: Distribution) -> tuple[bool, bool, bool]:
    name = distribution.metadata["Name"]
    return name != _NAME, name == _FOREIGN, not _direct_url(distribution)


def _holds(distribution: Distribution) -> bool:
    if _PACKAGE.name not in (distribution.read_text("top_level.txt") or "").split():
        return False
    told = _direct_url(distribution)
    if told.get("dir_info", {}).get("editable"):
        return Path(_place(told) or "/").resolve() == _PACKAGE.parent
    return Path(str(distribution.locate_file(_PACKAGE.name))).resolve() == _PACKAGE


def _direct_url(distribution: Distribution) -> dict[str, dict[str, object]]:
    text = distribution.read_text("direct_url.json")
    found: dict[str, dict[str, object]] = json.loads(text) if text else {}
    return found


def _place(told: dict[str, dict[str, object]]) -> str:
    """A path that is there, or an address as pip takes it; empty where there is neither."""
    url = str(told.get("url", ""))
    if url.startswith("file:"):
        from urllib.parse import urlparse
        from urllib.request import url2pathname  # which brings http and ssl

        path = url2pathname(urlparse(url).path)
        return path if Path(path).exists() else ""
    vcs = told.get("vcs_info", {})
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url


def _quoted(text: str) -> str:
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'
