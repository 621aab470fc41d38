"""Measures what EdgeKit takes to download and on a device's disk.

    python -m release.sizes dist

Run it in the checkout, with the Python of ``.venv-release``, after ``make release``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgekit.errors import BoundError, EdgeKitError
from release.environments import Environment, fresh, install_line

__all__ = ["LIMITS", "check_sizes", "installed_sizes", "rows"]

LIMITS = {"pip's opencv-python": 380, "opencv-python-headless": 380, "the system's OpenCV": 200}
"""Most MiB that the device side may take, by the OpenCV that it uses."""


def installed_sizes(place: Environment) -> dict[str, int]:
    """Measures an environment with the device side, with each OpenCV that it may use.

    Afterwards the environment has no OpenCV.

    Returns:
        Bytes of all installed packages, by the OpenCV that they include.
    """
    pip, headless, system = LIMITS
    whole = place.size()
    version = place.run(
        "python", "-c", "import importlib.metadata as m; print(m.version('opencv-python'))"
    )
    place.run("pip", "uninstall", "-q", "-y", "opencv-python")
    without = place.size()
    wanted = f"opencv-python-headless=={version.strip()}"
    place.run("pip", "install", "-q", "--no-deps", wanted)
    sizes = {pip: whole, headless: place.size(), system: without}
    place.run("pip", "uninstall", "-q", "-y", "opencv-python-headless")
    return sizes


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Compares the measured sizes with ``LIMITS``.

    Raises:
        BoundError: One is larger.
    """
    for opencv, size in sizes.items():
        if size > LIMITS[opencv] << 20:
            raise BoundError(
                f"Expected at most {LIMITS[opencv]} MiB installed with {opencv}; "
                f"found {size / 2**20:.0f} MiB."
            )


def rows(folder: Path, sizes: Mapping[str, int], image: str = "") -> list[str]:
    """Returns the lines of a table in Markdown.

    Args:
        folder: Folder with the files of the release.
        sizes: Measured sizes of the installation in bytes.
        image: Name of the container image to list; empty for none.
    """
    lines = ["| what | MiB |", "| --- | ---: |"]
    for path in sorted(folder.iterdir()):
        if path.suffix == ".whl" or path.name.endswith(".tar.gz"):
            lines.append(f"| `{path.name}` | {path.stat().st_size / 2**20:.1f} |")
    for opencv, size in sizes.items():
        lines.append(f"| device side, installed with {opencv} | {size / 2**20:.0f} |")
    if image:
        lines.append(f"| container image | {_image_size(image) / 2**20:.0f} |")
    return lines


def _image_size(image: str) -> int:
    command = ["podman", "image", "inspect", "--format", "{{.Size}}", image]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m release.sizes", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with the wheels")
    parser.add_argument("--image", default="", help="container image to list, as podman names it")
    given = parser.parse_args(arguments)
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            fresh(sys.executable, Path(name) / "environment") as place,
        ):
            readme = Path("README.md").read_text()
            line = install_line(readme, given.folder)
            place.run("pip", *line, "-q", "-c", str(Path("constraints.txt").resolve()))
            sizes = installed_sizes(place)
        print("\n".join(rows(given.folder, sizes, given.image)))
        check_sizes(sizes)
    except EdgeKitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
