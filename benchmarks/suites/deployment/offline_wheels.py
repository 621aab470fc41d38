"""Makes a folder of wheels that are installed within seconds, for simulated devices.

EdgeKit's own wheel is real. A wheel of another package has only its name and version; one of them
adds the folders of packages of this Python to the path of the environment.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgekit.deploy.wheels import isolation_words
from edgekit.system.installation import requirements

__all__ = ["make_wheels"]

_ROOT = Path(__file__).resolve().parents[3]
_SPARE_VERSION = "99"
_OURS = ("edgekit", "benchmarks", "calibration", "quantization", "targets")


def make_wheels(folder: Path) -> Path:
    """Fills a folder with wheels; returns it.

    Args:
        folder: Folder that exists. Sources are copied into it, so that a build changes no checkout.
    """
    _build_own(folder)
    places = [each for each in sys.path if each.endswith("-packages")]
    for name in {each.name for each in requirements()} | {"tomli"}:
        try:
            number = version(name)
        except PackageNotFoundError:
            number = _SPARE_VERSION
        path = "\n".join(places) + "\n" if name == "numpy" else ""
        _write_wheel(folder, name, number, path)
    _copy_pip(folder)
    return folder


def _build_own(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    for name in (*_OURS, "pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        place = _ROOT / name
        if place.is_dir():
            hidden = shutil.ignore_patterns("__pycache__", "suites")
            shutil.copytree(place, source / name, symlinks=True, ignore=hidden)
        elif place.exists():
            shutil.copyfile(place, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation_words()]
    command += ["--wheel-dir", str(folder), str(source)]
    # Without kernels it is built in seconds.
    environment = {**os.environ, "EDGEKIT_NO_KERNEL": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr)
    shutil.rmtree(source)


def _write_wheel(folder: Path, name: str, number: str, path: str) -> None:
    plain = name.replace("-", "_")
    info = f"{plain}-{number}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if path:
        files[f"{plain}.pth"] = path
    record = [f"{file},sha256={_digest(text)},{len(text)}" for file, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{plain}-{number}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _copy_pip(folder: Path) -> None:
    """Copies the wheel of pip that Python brings along, as the index has it."""
    import ensurepip

    bundled = [*Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")]
    bundled += Path("/usr/share/python-wheels").glob("pip-*.whl")
    shutil.copy(bundled[0], folder)
