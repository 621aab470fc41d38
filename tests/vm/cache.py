"""Keeps what the virtual machines are made of, by the content of what it was made from."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

WORK = Path(os.environ.get("EDGEKIT_VM_WORK", "/var/tmp/edgekit-vm"))
"""Folder of everything that the harness writes: about 10 GB."""

RUN = WORK / f"run-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
"""Folder of the guests of this process of the tests."""


def cached(name: str, make: Callable[..., None], *inputs: object) -> Path:
    """Returns the folder ``name-KEY``, which ``make(folder, *inputs)`` fills if it is missing.

    KEY comes from the source code of ``make`` and from the inputs: a path counts with the content
    of its file, or of all files in its folder, and the folder of another step with its name. Older
    folders of the same name are removed, because nothing uses them any more.

    Args:
        name: Name of the step.
        make: Function that fills an empty folder. It must not depend on anything but the inputs.
        inputs: Paths and values that the result depends on.
    """
    key = hashlib.sha256(inspect.getsource(make).encode())
    for each in inputs:
        _feed(key, each)
    place = WORK / f"{name}-{key.hexdigest()[:12]}"
    with alone(name):
        if not place.exists():
            for old in WORK.glob(f"{name}-{'[0-9a-f]' * 12}*"):
                _remove(old)
            begin = time.monotonic()
            unfinished = place.with_name(place.name + ".part")
            unfinished.mkdir(parents=True)
            make(unfinished, *inputs)
            unfinished.rename(place)
            print(f"{name}: made in {time.monotonic() - begin:.0f} s", flush=True)
    return place


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Waits until no other process of the tests makes what has this name."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    """Removes a folder of an earlier step.

    Raises:
        RuntimeError: An interrupted step has left a file system of this machine mounted in it.
    """
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    inside = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{folder}/")]
    if inside:
        raise RuntimeError(f"Mounted in an unfinished step. Run: umount {' '.join(inside[::-1])}")
    shutil.rmtree(folder)


def command(*words: str | Path, folder: Path | None = None, stdin: bytes | None = None) -> bytes:
    """Runs a command and returns its standard output.

    Raises:
        RuntimeError: Its exit status is not 0. The message has the end of what it said.
    """
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, input=stdin, capture_output=True
    )
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(map(str, words[:6]))}: status {done.returncode}\n{said}")
    return done.stdout


def need(programs: Sequence[tuple[str, str]]) -> None:
    """Checks that programs are installed.

    Args:
        programs: Name of each program and of its Debian package.

    Raises:
        RuntimeError: One is missing; the message has the line that installs all.
    """
    missing = sorted({package for name, package in programs if shutil.which(name) is None})
    if missing:
        raise RuntimeError(
            f"Expected more programs for virtual machines. Run: apt-get install "
            f"--no-install-recommends {' '.join(missing)}"
        )


def _feed(key: hashlib._Hash, each: object) -> None:
    if not isinstance(each, Path):
        key.update(f"{each!r}\n".encode())
    elif each.is_relative_to(WORK):
        key.update(f"{each.relative_to(WORK)}\n".encode())
    else:
        files = sorted(each.rglob("*")) if each.is_dir() else [each]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                key.update(f"{path.relative_to(each.parent)}\n".encode())
                key.update(path.read_bytes())
