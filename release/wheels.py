"""Builds wheels of a checkout, also for another processor than this machine's.

    python -m release.wheels aarch64 -o dist

Run it in the checkout, with the Python of ``.venv`` or ``.venv-release``. It prints the path of
each wheel. The exit status is 4 if the compiler for the processor is missing.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgekit.errors import ConversionError, EdgeKitError, MissingDependencyError
from release.sources import commit_time, copy_sources

__all__ = ["ARCHITECTURES", "PURE", "build_sdist", "build_wheel", "wheel_of_checkout"]

PURE = "any"
"""The wheel without compiled kernels, for every processor."""

_COMPILERS = {"x86_64": "x86_64-linux-gnu-gcc", "aarch64": "aarch64-linux-gnu-gcc"}
_PACKAGES = {
    "x86_64": "gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
    "aarch64": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
}

ARCHITECTURES = (*_COMPILERS, PURE)
"""Processors for which there are wheels."""

_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def wheel_of_checkout(checkout: Path, architecture: str, out: Path) -> Path:
    """Builds the wheel of a checkout as it is now, with changes that are not committed.

    Args:
        checkout: Folder of a git checkout of EdgeKit.
        architecture: One of ``ARCHITECTURES``.
        out: Folder for the wheel; created if it is missing.

    Returns:
        Path of the wheel.

    Raises:
        MissingDependencyError: The compiler for this processor is not installed.
        ConversionError: The build failed.
        BadInputError: The folder is no git checkout.
    """
    _compiler(architecture)  # Refuses before anything is copied.
    with tempfile.TemporaryDirectory() as name:
        sources = Path(name) / "sources"
        copy_sources(checkout, sources)
        return build_wheel(sources, architecture, out, commit_time(checkout))


def build_wheel(sources: Path, architecture: str, out: Path, time: int) -> Path:
    """Builds a wheel in a folder of sources, which no other wheel was built in.

    Args:
        sources: Folder with the sources. The build leaves files in it.
        architecture: One of ``ARCHITECTURES``.
        out: Folder for the wheel; created if it is missing.
        time: Time of all files in the wheel, in seconds since 1970.

    Returns:
        Path of the wheel. Its name ends with ``linux_x86_64.whl``, ``linux_aarch64.whl`` or
        ``any.whl``.

    Raises:
        MissingDependencyError: The compiler for this processor is not installed.
        ConversionError: The build failed.
    """
    variables = _environment(time) | _compiler(architecture)
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-cache-dir"]
    command += ["--no-build-isolation"] if _has_setuptools() else []
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as name:
        log = _run([*command, "-w", str(Path(name).resolve()), "."], sources, variables)
        (built,) = Path(name).glob("*.whl")
        # A compiler that fails gives a pure wheel, because most users prefer it to none.
        if not built.stem.endswith(f"-{PURE}" if architecture == PURE else f"_{architecture}"):
            said = log.partition("building extension")[0][-1500:]
            raise ConversionError(
                f"Expected a wheel for {architecture}; found {built.name}, because the kernels did "
                f"not compile:\n{said}"
            )
        return built.replace(out / built.name)


def build_sdist(sources: Path, out: Path, time: int) -> Path:
    """Builds the source distribution in a folder of sources.

    Raises:
        ConversionError: The build failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as name:
        folder = str(Path(name).resolve())
        _run([sys.executable, "-c", _SDIST, folder], sources, _environment(time))
        (built,) = Path(name).glob("*.tar.gz")
        return built.replace(out / built.name)


def _environment(time: int) -> dict[str, str]:
    """Returns the environment variables of a build, without what changes its result."""
    flags = ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LDSHARED", "EDGEKIT_NO_KERNEL", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in flags}
    return kept | {"SOURCE_DATE_EPOCH": str(time), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _compiler(architecture: str) -> dict[str, str]:
    """Returns the environment variables that choose the compiler."""
    if architecture == PURE:
        return {"EDGEKIT_NO_KERNEL": "1"}
    compiler = _COMPILERS[architecture]
    if platform.machine() == architecture and not shutil.which(compiler):
        compiler = "cc"  # Only Debian and its derivatives use the long names.
    if not shutil.which(compiler):
        raise MissingDependencyError(
            f"Expected the compiler {compiler}; it is not installed.",
            hint=f"Run: sudo apt-get install --no-install-recommends {_PACKAGES[architecture]}",
        )
    return {
        "_PYTHON_HOST_PLATFORM": f"linux-{architecture}",
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
    }


def _has_setuptools() -> bool:
    """Whether this Python has the setuptools that builds need, so that pip fetches none."""
    try:
        return int(version("setuptools").partition(".")[0]) >= 77
    except PackageNotFoundError:
        return False


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """Returns what a command prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        umask=0o022,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConversionError(f"The build failed with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Builds the named wheels, prints their paths, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m release.wheels", description=__doc__)
    parser.add_argument("architecture", nargs="+", choices=ARCHITECTURES)
    parser.add_argument("-o", "--out", type=Path, default=Path("dist"), help="default: dist")
    parser.add_argument("--checkout", type=Path, default=Path(), help="default: this folder")
    given = parser.parse_args(arguments)
    try:
        for architecture in given.architecture:
            print(wheel_of_checkout(given.checkout, architecture, given.out))
    except EdgeKitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
