"""Makes Python environments from wheels, without a network, and runs EdgeKit in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edgekit.deploy.on_device.connection import DeviceError, HungUpError, WorkstationConnection
from edgekit.deploy.on_device.store import write_file

__all__ = ["is_complete", "make_environment", "run_program"]

_COMPLETE = "edgekit-complete"
_STEP = 0.1


def is_complete(venv: Path) -> bool:
    """Returns whether an environment was made completely."""
    return (venv / _COMPLETE).is_file()


def make_environment(
    venv: Path,
    wheels: Sequence[Path],
    requirement: str,
    connection: WorkstationConnection,
    *,
    system_packages: bool = False,
) -> None:
    """Makes an environment; an incomplete one of that name is made again.

    Args:
        venv: Folder of the environment.
        wheels: Wheel files to install from; pip's own wheel is among them.
        requirement: File name of EdgeKit's wheel, with extras in brackets.
        connection: Connection to the workstation, for the progress.
        system_packages: Whether the environment sees the packages of the system's Python.

    Raises:
        DeviceError: The environment cannot be made; it says what pip said.
    """
    shutil.rmtree(venv, ignore_errors=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    (pip,) = (each for each in wheels if each.name.startswith("pip-"))
    flags = ["--system-site-packages"] if system_packages else []
    with tempfile.TemporaryDirectory(dir=venv.parent) as links:
        for each in wheels:
            Path(links, each.name).symlink_to(each)
        made = [sys.executable, "-m", "venv", "--without-pip", *flags, str(venv)]
        _call(made, "Python's module venv", connection)
        install = [
            str(venv / "bin/python"),
            f"{pip}/pip",
            "install",
            "--no-index",
            "--no-cache-dir",
        ]
        install += ["--disable-pip-version-check", "--no-input", "--find-links", links]
        _call([*install, f"{links}/{requirement}"], "pip", connection)
    # Its files have to survive a power cut before its marker does.
    os.sync()
    write_file(venv / _COMPLETE, time.strftime("%Y-%m-%d %H:%M:%S\n"))


def run_program(
    command: Sequence[str], connection: WorkstationConnection, *, cwd: Path | None = None
) -> tuple[int, str, str]:
    """Runs a program to its end; returns exit status, standard output and standard error.

    Args:
        command: Words of the command.
        connection: Connection to the workstation. If it closes, the program is ended.
        cwd: Folder to run it in.

    Raises:
        DeviceError: The program cannot be started.
        HungUpError: The workstation closed the connection.
    """
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))
    }
    environment["PIP_CONFIG_FILE"] = os.devnull
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, cwd=cwd,
                env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise DeviceError(f"Cannot start {command[0]}: {error.strerror}.") from error
        try:
            while process.poll() is None:
                if connection.hung_up():
                    raise HungUpError("The workstation closed the connection.")
                time.sleep(_STEP)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
        return process.returncode, _text(out), _text(errors)


def _call(command: Sequence[str], what: str, connection: WorkstationConnection) -> None:
    status, out, errors = run_program(command, connection)
    if status:
        lines = [line.strip() for line in (errors or out).splitlines() if line.strip()]
        said = " ".join([each for each in lines if each.startswith("ERROR")][:3] or lines[-3:])
        raise DeviceError(
            f"Expected {what} to make an environment for EdgeKit; it ended with status {status}: "
            f"{said}",
            "Check the wheels for this device, and its free space: df -h ~",
        )


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
