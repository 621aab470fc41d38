"""Collects the wheels of EdgeKit and its packages for a device, with pip."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.deploy.content import Content, content_of
from edgekit.deploy.device_facts import DeviceFacts
from edgekit.errors import BadInputError, HostError, MissingDependencyError
from edgekit.system.installation import elsewhere_required, origin

__all__ = ["WheelSet", "Wheelhouse", "isolation_words"]

_NEWEST_GLIBC = 99
_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17, "armv7l": 17}
_SETUPTOOLS = 77
"""Oldest setuptools that builds EdgeKit, as pyproject.toml says."""

_TIME = "315532800"
"""Time of all files in EdgeKit's own wheel, the earliest in a zip file: equal code has to give
equal bytes, by which a device knows the environment that it has."""

_BEFORE_3_11 = ("tomli", "async-timeout", "exceptiongroup", "typing-extensions")
"""Packages that only older Pythons need; pip decides about them by its own Python."""


@dataclass(frozen=True, slots=True)
class WheelSet:
    """Wheels for an environment.

    Attributes:
        contents: The wheels, each as a content of its own.
        requirement: File name of EdgeKit's wheel, with extras in brackets.
        key: Name of the environment that is made from them.
    """

    contents: tuple[Content, ...]
    requirement: str
    key: str

    @property
    def size(self) -> int:
        """Size of all wheels, in bytes."""
        return sum(each.size for each in self.contents)


class Wheelhouse:
    """Wheels for several devices; those of equal devices are collected once.

    Args:
        folder: Folder of wheels to take them from; None to download them from the package index.
        work: Folder to collect them in.
    """

    def __init__(self, folder: Path | None, work: Path) -> None:
        self._folder = folder
        self._work = work
        self._lock = threading.Lock()
        self._found: dict[tuple[object, ...], WheelSet] = {}
        self._own: dict[bool, Path] = {}
        if folder is not None and not any(folder.glob("*.whl")):
            source = origin()
            own = source.place if Path(source.place).is_absolute() else source.name
            raise BadInputError(
                f"Expected wheels in {parameter('wheels', str(folder))}; found none.",
                hint="Collect them, for a device like this machine: pip wheel -w "
                f"{shlex.quote(str(folder))} pip {shlex.quote(f'{own}[systemd]')}",
            )

    def wheels_for(self, facts: DeviceFacts, extras: Sequence[str]) -> WheelSet:
        """Returns the wheels that a device needs.

        Args:
            facts: Facts of the device.
            extras: Extras of EdgeKit to install.

        Raises:
            HostError: There are no wheels for the device.
            BadInputError: EdgeKit's own wheel cannot be made.
            MissingDependencyError: There is no pip here.
        """
        key = (facts.machine, facts.python[:2], facts.libc, tuple(extras), facts.tegra)
        with self._lock:
            if key not in self._found:
                self._found[key] = self._collect(facts, sorted(extras))
            return self._found[key]

    def _collect(self, facts: DeviceFacts, extras: list[str]) -> WheelSet:
        target = self._work / f"set-{len(self._found)}"
        what = f"[{','.join(extras)}]" if extras else ""
        name = origin().name
        older = _BEFORE_3_11 if facts.python < (3, 11) else ()
        words = ["download", "--quiet", "--only-binary=:all:", "--dest", str(target)]
        words += _platform_words(facts)
        if self._folder is not None:
            words += ["--no-index", "--find-links", str(self._folder)]
        if self._folder is None or not any(self._folder.glob(f"{_normal(name)}-*.whl")):
            words += ["--find-links", str(self._own_wheel(facts))]
        # pip decides by this machine also about packages that need another architecture or Python.
        more = elsewhere_required(extras, python=facts.python[:2], machine=facts.machine)
        done = _pip([*words, f"{name}{what}", "pip", *older, *more])
        if done.returncode:
            python = ".".join(map(str, facts.python[:2]))
            raise HostError(
                f"Expected wheels of EdgeKit's packages for {facts.host}, {facts.machine} with "
                f"Python {python}; pip found none: {_said(done)}",
                hint="Collect them in a folder, and name it: "
                f"{parameter('wheels', 'FOLDER')}; or use another Python on the device: "
                f"{parameter('python', 'python3.11')}",
            )
        files = sorted(target.glob("*.whl"))
        (own,) = (each for each in files if each.name.startswith(f"{_normal(name)}-"))
        contents = tuple(content_of("wheels", {each.name: each}) for each in files)
        # A patch release of the device's Python needs no other environment.
        parts = [*(each.digest for each in contents), what, str(facts.python[:2])]
        parts.append(str(facts.tegra))
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        return WheelSet(contents, f"{own.name}{what}", key)

    def _own_wheel(self, facts: DeviceFacts) -> Path:
        """Returns a folder with EdgeKit's own wheel for a device, made from its origin."""
        pure = facts.machine != os.uname().machine
        if pure not in self._own:
            place = Path(origin().place)
            if not place.is_absolute():
                raise BadInputError(
                    "Expected EdgeKit to be installed from a checkout or a wheel that still "
                    "exists, to make its wheel for the device; found neither.",
                    hint="Name a folder that has it, and the packages that it needs: "
                    f"{parameter('wheels', 'FOLDER')}",
                )
            folder = self._work / ("own-pure" if pure else "own")
            environment = {**os.environ, "SOURCE_DATE_EPOCH": _TIME}
            environment |= {"EDGEKIT_NO_KERNEL": "1"} if pure else {}
            words = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(place)]
            done = _pip([*words, *isolation_words()], environment)
            if done.returncode:
                raise BadInputError(
                    f"Expected pip to make EdgeKit's wheel from {place}; it failed: {_said(done)}",
                    hint=f"Run: pip wheel --no-deps {shlex.quote(str(place))}",
                )
            self._own[pure] = folder
        return self._own[pure]


def isolation_words() -> list[str]:
    """Returns the option that lets pip build without a network, if that is possible."""
    try:
        found = version("setuptools")
    except PackageNotFoundError:
        return []
    return ["--no-build-isolation"] if int(found.split(".")[0]) >= _SETUPTOOLS else []


def _platform_words(facts: DeviceFacts) -> list[str]:
    """Returns pip's options for wheels that run on a device."""
    machine, (name, libc) = facts.machine, facts.libc
    if name != "glibc":
        raise HostError(
            f"Expected {facts.host} to have the GNU C library; found {name or 'another one'}.",
            hint="ONNX Runtime has no packages for it. Choose a system such as Debian or Ubuntu.",
        )
    if not re.fullmatch(r"2\.\d{1,3}(?:\.\d+)*", libc):
        raise HostError(
            f"Expected {facts.host} to have version 2 of the GNU C library; found {libc!r:.80}."
        )
    newest = min(int(libc.split(".")[1]), _NEWEST_GLIBC)
    tags = [
        f"manylinux_2_{each}_{machine}" for each in range(newest, _OLDEST_GLIBC[machine] - 1, -1)
    ]
    major, minor = facts.python[:2]
    words = ["--python-version", f"{major}.{minor}", "--implementation", "cp"]
    for tag in (*tags, f"manylinux2014_{machine}", f"linux_{machine}"):
        words += ["--platform", tag]
    for abi in (f"cp{major}{minor}", "abi3", "none"):
        words += ["--abi", abi]
    return words


def _pip(
    words: Sequence[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if "No module named pip" in done.stderr:
        raise MissingDependencyError(
            "Collecting wheels for a device needs pip; this Python has none.",
            hint=f"Run: {sys.executable} -m ensurepip",
        )
    return done


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return " ".join((errors or lines)[-2:])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
