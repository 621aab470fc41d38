"""Runs the program ``edgekit.deploy.on_device`` on a device, over the system's own ``ssh``."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import msgspec

from edgekit._closing import Closing
from edgekit._parameters import parameter
from edgekit.deploy.device_program import device_program, starter
from edgekit.deploy.ssh_errors import ssh_error
from edgekit.deploy.ssh_output import ErrorText
from edgekit.errors import BadInputError, HostError, MissingDependencyError, UsageError
from edgekit.files.reading import open_regular

__all__ = ["DeviceConnection", "check_hosts"]

T = TypeVar("T")

_HELLO = b"edgekit-device "
_OLDEST_PYTHON = (3, 10)
_MOST_GREETINGS = 1000
_HELLO_SECONDS = 60.0
_PIECE = 1 << 20
_LONGEST_GREETING, _MOST_LINE = 1 << 16, 1 << 24
_SHOWN, _MOST_MESSAGE = 80, 2000
_ANSWERS, _FAILURE = ("done", "failed", "note"), ("message", "hint")
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=6")


def check_hosts(name: str, hosts: Sequence[str]) -> None:
    """Raises ``UsageError`` unless ``ssh`` can take the names of devices, and each is given once.

    Args:
        name: Name of the parameter, as the user knows it.
        hosts: Names that were given.
    """
    for host in hosts:
        if not host or host.startswith("-") or not host.isprintable() or " " in host:
            raise UsageError(
                f"Expected {name} to be a name for ssh; found {host!r}.",
                hint="For example: pi@camera-1, or a Host of ~/.ssh/config",
            )
    twice = [host for number, host in enumerate(hosts) if host in hosts[:number]]
    if twice:
        raise UsageError(
            f"Expected each {name} once; {twice[0]} was given twice.", hint="Leave one out."
        )


class DeviceConnection(Closing):
    """Connection to a device on which the program answers requests.

    ``ssh`` never asks for anything. The user's configuration of ``ssh`` applies.

    Args:
        host: Name of the device for ``ssh``.
        python: Name of the Python program on the device.
        on_note: Function that is called with each line about the progress.

    Raises:
        HostError: The device cannot be reached, or its Python is too old.
        MissingDependencyError: There is no ``ssh`` on this machine.
    """

    def __init__(
        self, host: str, *, python: str = "python3", on_note: Callable[[str], None] | None = None
    ) -> None:
        self.host = host
        self._on_note = on_note or (lambda note: None)
        ssh = shutil.which("ssh")
        if ssh is None:
            raise MissingDependencyError(
                "Reaching a device needs the program ssh; found none.",
                hint="Install OpenSSH: sudo apt install openssh-client",
            )
        program = device_program()
        options = [word for option in _OPTIONS for word in ("-o", option)]
        command = f"{shlex.quote(python)} -c {starter(len(program))}"
        self._process = subprocess.Popen(
            [ssh, "-T", *options, "--", host, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self._errors = ErrorText(self._process.stderr)
        try:
            self._greet(python)
            self._write(program)
            self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, what: str, answer: type[T], /, **arguments: object) -> T:
        """Sends a request; returns its result.

        Args:
            what: Name of a public method of ``edgekit.deploy.on_device.agent.Agent``.
            answer: Type of the result.
            arguments: Arguments of the method.

        Raises:
            HostError: The device refuses, answers with another type, or the connection is lost.
        """
        self._request(what, arguments)
        return self.checked(self._answer(), answer)

    def checked(self, found: object, answer: type[T]) -> T:
        """Returns what a device has answered, as a type.

        Raises:
            HostError: It has another type.
        """
        try:
            return msgspec.convert(found, answer)
        except msgspec.ValidationError as error:
            raise HostError(
                f"Expected answers of EdgeKit's program from {self.host}; found other values: "
                f"{error!s:.200}.",
                hint=f"Check what answers there: ssh {self.host}",
            ) from error

    def send(self, file: Path, size: int, **place: object) -> None:
        """Sends a file to a store of the device.

        Exactly ``size`` bytes follow the request, whatever becomes of the file meanwhile: the
        device would take more for requests, and would take requests for the missing ones.

        Args:
            file: File to send.
            size: Its size in bytes, as the device knows it.
            place: Other arguments of ``Agent.put``: store, content and path in it.

        Raises:
            HostError: The device refuses, or the connection is lost.
            BadInputError: The file cannot be read any more, or is shorter. The connection cannot be
                used any longer.
        """
        try:
            with open_regular(file) as (stream, _):
                self._request("put", {**place, "size": size})
                left = size
                while left and (piece := stream.read(min(left, _PIECE))):
                    self._write(piece)
                    left -= len(piece)
        except OSError as error:
            raise _changed(file, self.host, f"{error.strerror}") from error
        if left:
            raise _changed(file, self.host, f"it has {left} of {size} bytes less than before")
        self._answer()

    def fetch(self, path: str, target: Path, most: int) -> None:
        """Fetches a file from the working folder of EdgeKit on the device.

        Args:
            path: Path below that folder.
            target: File to write here.
            most: Largest size in bytes.

        Raises:
            HostError: There is no such file, it is too large, or the connection is lost.
        """
        self._request("get", {"path": path})
        left = self._answer()
        if type(left) is not int or not 0 <= left <= most:
            raise HostError(
                f"Expected {path} of {self.host} to have at most {most} bytes; found {left!r:.80}."
            )
        with target.open("wb") as stream:
            while left:
                piece = self._answers.read(min(left, _PIECE))
                if not piece:
                    raise self._lost()
                left -= stream.write(piece)

    def abort(self) -> None:
        """Ends the connection while another thread waits for an answer."""
        self._process.terminate()

    def close(self) -> None:
        """Closes the connection; what the device does for it is ended there."""
        for stream in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _greet(self, python: str) -> None:
        """Reads the first line of the program, which names its Python."""
        timer = threading.Timer(_HELLO_SECONDS, self._process.kill)
        timer.start()
        try:
            # A login may print lines of its own before that.
            for _ in range(_MOST_GREETINGS):
                line = self._answers.readline(_LONGEST_GREETING)
                if not line or line.startswith(_HELLO):
                    break
        finally:
            timer.cancel()
        if not line.startswith(_HELLO):
            status = self._process.wait()
            raise ssh_error(
                self.host, self._errors.read(), status if status >= 0 else None, python=python
            )
        version = line.removeprefix(_HELLO).decode(errors="replace").strip()
        if not re.fullmatch(r"\d{1,3}\.\d{1,3}", version):
            raise self._strange(line)
        if tuple(int(part) for part in version.split(".")) < _OLDEST_PYTHON:
            raise HostError(
                f"Expected Python 3.10 or newer on {self.host}; {python} is {version}.",
                hint="Install a newer one there, and name it, for example "
                f"{parameter('python', 'python3.11')}",
            )

    def _request(self, what: str, arguments: Mapping[str, object]) -> None:
        self._write(json.dumps({"do": what, "with": arguments}).encode() + b"\n")

    def _write(self, content: bytes) -> None:
        try:
            self._requests.write(content)
            self._requests.flush()
        except OSError:
            raise self._lost() from None

    def _answer(self) -> Any:
        while True:
            line = self._answers.readline(_MOST_LINE)
            if not line.endswith(b"\n"):
                raise self._strange(line) if len(line) == _MOST_LINE else self._lost()
            try:
                answer = json.loads(line, parse_constant=_no_number)
            except (ValueError, RecursionError):
                raise self._strange(line) from None
            if not isinstance(answer, dict) or answer.keys().isdisjoint(_ANSWERS):
                raise self._strange(line)
            if "done" in answer:
                return answer["done"]
            if "failed" in answer:
                failed = answer["failed"]
                if not isinstance(failed, dict):
                    raise self._strange(line)
                message, hint = (str(failed.get(key, ""))[:_MOST_MESSAGE] for key in _FAILURE)
                raise HostError(f"{self.host}: {message}", hint=hint)
            self._on_note(str(answer["note"])[:_MOST_MESSAGE])

    def _strange(self, line: bytes) -> HostError:
        return HostError(
            f"Expected an answer of EdgeKit's program on {self.host}; found {line[:_SHOWN]!r}.",
            hint="Something else writes into the connection, such as a start file of the shell "
            f"there. This should print nothing: ssh {self.host} true",
        )

    def _lost(self) -> HostError:
        lines = self._errors.read().strip().splitlines()
        said = f": {lines[-1].rstrip('.')}" if lines else ""
        return HostError(
            f"The connection to {self.host} was lost{said}.",
            hint=f"The device runs what it ran before. Check it: ssh {self.host}",
        )


def _changed(file: Path, host: str, how: str) -> BadInputError:
    return BadInputError(
        f"{file} has changed while EdgeKit copied it to {host}: {how}.",
        hint="Try again when no other program writes to it.",
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
