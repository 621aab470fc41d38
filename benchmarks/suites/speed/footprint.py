"""Measures the device side: bytes on disk, memory, import time and time to the first frame.

Run it as ``python -m edgekit.benchmarks.suites.speed.footprint [VIDEO]``; VIDEO defaults to the
clip of ``edgekit bench``. It copies the sources and installs them with ``pip install`` into a fresh
environment, as on a device, with nothing but their dependencies. Only that environment is measured.
It needs the package registry. Memory is the peak of the process of ``edgekit run``. Times are
medians over fresh processes, one after the other, with files in the page cache.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import edgekit
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.measuring.timing import machine

__all__ = ["first_frame", "installed_sizes", "main", "peak_memory", "seconds_of_imports"]

_ROOT = Path(edgekit.__file__).resolve().parents[1]
_LEFT_OUT = (".*", "build", "*.egg-info", "__pycache__", "tests", "*.so")
_NOT_OURS = ("pip", "setuptools", "wheel")
"""Packages that every fresh environment has."""

_BOUNDS = {"size": 370.0, "memory": 250.0, "import": 0.3, "frame": 1.0}

_MEMORY = """
import sys
from pathlib import Path
from edgekit.cli import main
status = main(sys.argv[1:])
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(status)
"""
_IMPORTS = """
import importlib, pkgutil, time
begin = time.process_time()
import edgekit.runtime
for module in pkgutil.walk_packages(edgekit.runtime.__path__, "edgekit.runtime."):
    if not module.name.endswith("._kernels"):  # a library for ctypes
        importlib.import_module(module.name)
print(time.process_time() - begin)
"""


def installed_sizes(site: Path) -> dict[str, int]:
    """Returns the bytes of each package in a folder, the largest first; without pip's own."""
    sizes = {}
    for found in importlib.metadata.distributions(path=[str(site)]):
        name = found.metadata["Name"]
        if name not in _NOT_OURS:
            places = [Path(str(found.locate_file(file))) for file in found.files or ()]
            sizes[f"{name} {found.version}"] = sum(
                place.stat().st_size for place in places if place.is_file()
            )
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def peak_memory(python: Path, video: Path) -> int:
    """Returns the peak memory of ``edgekit run`` on a video, in bytes."""
    done = _run(python, "-c", _MEMORY, "run", "--source", str(video), "--events", os.devnull)
    found = re.search(r"VmHWM:\s*(\d+) kB", done.stderr)
    if found is None:
        raise SystemExit(f"This system does not tell a process's memory: {done.stderr[-300:]}")
    return 1024 * int(found[1])


def seconds_of_imports(python: Path) -> float:
    """Returns the CPU seconds in which a fresh process imports all of ``edgekit.runtime``."""
    return float(_run(python, "-c", _IMPORTS).stdout)


def first_frame(python: Path, video: Path) -> float:
    """Returns the seconds from the start of ``edgekit run`` to the event of its first frame."""
    command = [str(python), "-m", "edgekit", "run", "--source", str(video), "--events", "-"]
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **_outside()
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "frame":
                taken = time.perf_counter() - begin
                process.terminate()
                return taken
    raise SystemExit(f"The run ended with {process.returncode} before its first frame.")


def _outside() -> dict[str, Any]:
    """Returns options for a process that imports the installed package, not the sources."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {"cwd": "/", "env": variables}


def _run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, check=False, **_outside()
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return done


def _install(folder: Path) -> Path:
    """Returns the Python of a fresh environment in which the device side is installed."""
    sources = folder / "sources"
    shutil.copytree(_ROOT, sources, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    subprocess.run([sys.executable, "-m", "venv", folder / "device"], check=True)
    python = folder / "device" / "bin" / "python"
    constraints = str(sources / "constraints.txt")
    _run(python, "-m", "pip", "install", "-q", "-c", constraints, str(sources))
    return python


def _median(measure: Callable[[], float], repeats: int) -> float:
    measure()
    return statistics.median(measure() for _ in range(repeats))


def _row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Prints two tables: bytes by package, and the measurements beside their bounds."""
    parser = argparse.ArgumentParser(description="Measures the device side: size, memory, start.")
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = (arguments.video or write_demo_clip(folder)).resolve()
        python = _install(folder)
        sizes = installed_sizes(next(folder.glob("device/lib/python*/site-packages")))
        memory = peak_memory(python, video)
        imports = _median(lambda: seconds_of_imports(python), arguments.repeats)
        frame = _median(lambda: first_frame(python, video), arguments.repeats)
    print(f"{machine()}\n")
    _row(["package", "MiB"])
    _row(["---", "---:"])
    for package, size in sizes.items():
        _row([package, f"{size / 2**20:.1f}"])
    print()
    _row(["what", "measured", "bound"])
    _row(["---", "---:", "---:"])
    _row(["installed, MiB", f"{sum(sizes.values()) / 2**20:.0f}", f"{_BOUNDS['size']:.0f}"])
    _row(["memory of `run`, MiB", f"{memory / 2**20:.0f}", f"{_BOUNDS['memory']:.0f}"])
    _row(["import of `edgekit.runtime`, CPU s", f"{imports:.2f}", f"{_BOUNDS['import']:.1f}"])
    _row(["first frame of `run`, s", f"{frame:.2f}", f"{_BOUNDS['frame']:.0f}"])


if __name__ == "__main__":
    main()
