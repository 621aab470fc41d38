"""Makes the environment of Rockchip's toolkit: ``python -m edgekit.targets.rknn.environment``.

The toolkit needs older versions of onnx and protobuf than EdgeKit. They are installed into a folder
of their own, which only the toolkit's process sees; all else it takes from EdgeKit's environment.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgekit.errors import EdgeKitError, MissingDependencyError, OutputError
from edgekit.files.writing import atomic_folder
from edgekit.system.telemetry import OWN_PROCESS
from edgekit.system.user_folders import user_folder

__all__ = ["MAKE", "TOOLKIT", "environment", "installed_version", "make_environment", "variables"]

TOOLKIT = "rknn-toolkit2"
MAKE = "python -m edgekit.targets.rknn.environment"
"""Command that makes the environment."""

_VERSION = "2.5.0"
_PACKAGES = (
    f"{TOOLKIT}=={_VERSION}",
    "fast-histogram==0.14",
    "onnx==1.18.0",
    "protobuf==4.25.4",
    "psutil>=5.9",
    "ruamel.yaml==0.19.1",
    "scipy>=1.9.3",
    "setuptools==80.9.0",
    "tqdm==4.70.1",
)
_PIP = "pip install --no-deps --only-binary=:all: --quiet --target"
_MARK = "edgekit-environment"
_PYTHONS = ((3, 10), (3, 12))
_LAST_LINES = 4
_FULL = "No space left on device"


def installed_version() -> str | None:
    """Returns the version of the toolkit in the environment; None if it was not made."""
    try:
        return _VERSION if (_folder() / _MARK).is_file() else None
    except OutputError:  # a user without a home folder
        return None


def environment() -> Path:
    """Returns the folder of the environment.

    Raises:
        MissingDependencyError: It was not made.
        EdgeKitError: The toolkit does not support this system or Python.
    """
    _check_system()
    if installed_version() is None:
        raise MissingDependencyError(
            f"Making a bundle for the target rknn needs Rockchip's {TOOLKIT}, in an environment of "
            f"its own: expected it in {_folder()}.",
            hint=f"Make it: {MAKE}",
        )
    return _folder()


def variables() -> dict[str, str]:
    """Returns the environment variables of the toolkit's process.

    Raises:
        MissingDependencyError: The environment was not made.
        EdgeKitError: The toolkit does not support this system or Python.
    """
    paths = [str(environment()), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}


def make_environment() -> Path:
    """Makes the environment by ``pip``, completely or not at all, and replaces an earlier one.

    Returns:
        Its folder, about 320 MB.

    Raises:
        MissingDependencyError: pip or torch is not installed.
        EdgeKitError: The toolkit does not support this system or Python, pip failed, or the toolkit
            does not start.
        OutputError: The folder cannot be written.
    """
    _check_system()
    MissingDependencyError.unless("torch", "host", f"Rockchip's {TOOLKIT}")
    try:
        version("pip")
    except PackageNotFoundError as error:
        raise MissingDependencyError(
            f"Making the environment of {TOOLKIT} needs pip, which is not installed.",
            hint="Run: python -m ensurepip",
        ) from error
    folder = _folder()
    user_folder("XDG_DATA_HOME", ".local/share", "")
    with atomic_folder(folder, force=True, mark=_MARK) as made:
        _run(
            [sys.executable, "-m", *_PIP.split(), str(made), *_PACKAGES],
            "pip could not install",
            "Check the network connection, or name a folder of wheels: PIP_FIND_LINKS=FOLDER "
            f"{MAKE}",
        )
        _run(
            [sys.executable, "-c", "import rknn.api"],
            "These packages do not start",
            "Install the versions of torch, numpy and onnxruntime that EdgeKit is tested with: "
            "pip install -c constraints.txt ...",
            {"PYTHONPATH": str(made)},
        )
        (made / _MARK).write_text("\n".join(_PACKAGES) + "\n")
    return folder


def _folder() -> Path:
    base = user_folder("XDG_DATA_HOME", ".local/share", "", make=False)
    return base / f"{TOOLKIT}-{_VERSION}-python{sys.version_info[0]}.{sys.version_info[1]}"


def _check_system() -> None:
    system, python = platform.system(), sys.version_info[:2]
    if system != "Linux" or not _PYTHONS[0] <= python <= _PYTHONS[1]:
        raise EdgeKitError(
            f"Rockchip's {TOOLKIT} {_VERSION} needs Linux and Python 3.10 to 3.12; found {system} "
            f"and Python {platform.python_version()}.",
            hint="Install EdgeKit with such a Python, and export there.",
        )


def _run(command: list[str], failed: str, hint: str, more: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **OWN_PROCESS, **(more or {})},
        text=True,
        errors="replace",
    )
    if done.returncode and _FULL in done.stdout:
        raise OutputError(
            f"{failed} {TOOLKIT}: {_FULL.lower()} in {_folder().parent} or "
            f"{tempfile.gettempdir()}.",
            hint="Free some space there, or set XDG_DATA_HOME and TMPDIR to other folders. Each "
            "needs about 320 MB.",
        )
    if done.returncode:
        lines = [line.strip()[:300] for line in done.stdout.splitlines() if line.strip()]
        raise EdgeKitError(
            f"{failed} {', '.join(_PACKAGES)}:\n" + "\n".join(lines[-_LAST_LINES:]), hint=hint
        )


def _main(arguments: Sequence[str]) -> int:
    if arguments:
        print(f"Usage: {MAKE}\nInstalls {TOOLKIT} for this user, which takes about 320 MB.")
        return 0 if set(arguments) <= {"-h", "--help"} else 2
    try:
        print(f"Making the environment of {TOOLKIT} {_VERSION}: about 320 MB.", file=sys.stderr)
        print(make_environment())
    except EdgeKitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
