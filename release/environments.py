"""Installs a release in fresh environments, as users do, and checks that it works there."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import BadInputError, BoundError, UsageError
from edgekit.system.installation import DEVELOPMENT

__all__ = ["PYTHONS", "Environment", "check", "extras_of", "fresh", "install_line", "pythons"]

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""Versions of Python that a release supports."""

_SIZE = """
import importlib.metadata as m, pathlib
own = {"pip", "setuptools", "wheel"}
files = [d.locate_file(f) for d in m.distributions() if d.name not in own for f in d.files or ()]
print(sum(f.stat().st_size for f in map(pathlib.Path, files) if f.is_file()))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """A fresh environment of a Python, with nothing installed but pip.

    Attributes:
        folder: Folder of the environment.
        version: Version of its Python, such as ``3.11.7``.
    """

    folder: Path
    version: str

    def run(self, program: str, *arguments: str) -> str:
        """Returns what a program of the environment prints.

        Raises:
            BoundError: It fails, or it is not installed.
        """
        path = self.folder / "bin" / program
        if not path.exists():
            raise BoundError(f"Expected the program {program}; it is not installed.")
        outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [path, *arguments],
            cwd=self.folder,
            env=outside,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise BoundError(
                f"{program} {' '.join(arguments)} ended with {done.returncode}: {said}"
            )
        return done.stdout

    def size(self) -> int:
        """Returns the bytes of all installed packages, without pip and setuptools."""
        return int(self.run("python", "-c", _SIZE))


@contextmanager
def fresh(python: str, folder: Path) -> Iterator[Environment]:
    """Makes an environment in a new folder, and deletes it afterwards.

    Args:
        python: Path or name of the Python to use.
        folder: Folder to create.

    Raises:
        UsageError: This Python cannot make environments.
    """
    command = [python, "-m", "venv", str(folder)]
    try:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise UsageError(f"Expected a Python; {python}: {error.strerror}") from error
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-500:]
            raise UsageError(f"Expected a Python with venv and pip; {python} says: {said}")
        version = subprocess.run(
            [folder / "bin" / "python", "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            check=True,
        )
        yield Environment(folder, version.stdout.strip())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pythons() -> list[str]:
    """Returns the path of each supported version of Python that is on the ``PATH`` and starts."""
    found = [shutil.which(f"python{version}") for version in PYTHONS]
    # pyenv has a program there for each installed Python. Those not chosen only print an error.
    return [path for path in found if path and _starts(path)]


def _starts(python: str) -> bool:
    try:
        done = subprocess.run([python, "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def extras_of(wheel: Path) -> list[str]:
    """Returns the extras of a wheel that are for users."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        about = email.message_from_bytes(opened.read(name))
    return [extra for extra in about.get_all("Provides-Extra", []) if extra not in DEVELOPMENT]


def install_line(readme: str, wheels: Path, extra: str = "") -> list[str]:
    """Returns the words of the README's line that installs the wheels in a folder.

    Args:
        readme: Text of the README.
        wheels: Folder that takes the place of the README's folder.
        extra: Extra to install; empty for none.

    Raises:
        BadInputError: The README has no such line.
    """
    found = re.search(r"^pip install --find-links (\S+) edgekit-vision\b", readme, re.M)
    if found is None:
        raise BadInputError(
            "Expected a line 'pip install --find-links FOLDER edgekit-vision' in README.md."
        )
    wanted = f"edgekit-vision[{extra}]" if extra else "edgekit-vision"
    return ["install", "--find-links", str(wheels.resolve()), wanted]


def check(place: Environment, version: str, extra: str, kernels: bool) -> None:
    """Checks an environment in which the release was installed.

    Args:
        place: The environment.
        version: Version of the release.
        extra: Extra that was installed; empty for none.
        kernels: Whether the compiled kernels must work.

    Raises:
        BoundError: A command fails, a package is missing, or the kernels are not used.
    """
    place.run("pip", "check")
    said = place.run("edgekit", "--version").split()
    if said[-1] != version:
        raise BoundError(f"Expected version {version}; edgekit --version says {' '.join(said)}.")
    place.run("edgekit", "inspect", "--json")
    report = json.loads(place.run("edgekit", "doctor", "--json"))
    missing = [
        part["name"]
        for part in report["packages"]
        if part["extra"] == extra and part["version"] is None and part["install"]
    ]
    if extra and missing:
        raise BoundError(f"The extra {extra} installs no {', '.join(missing)}.")
    if kernels != (report["kernel"]["kernel"] != "numpy"):
        raise BoundError(
            f"Expected {'a compiled' if kernels else 'no'} kernel; found {report['kernel']}."
        )
