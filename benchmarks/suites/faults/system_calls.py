"""Shows the connections, name lookups and files of every command, by its system calls.

Run it as ``python -m edgekit.benchmarks.suites.faults.system_calls``. Each command runs under
strace, in a network namespace with only loopback, with an empty home folder and an empty folder for
temporary files. ``ORT_DISABLE_TELEMETRY=0`` is set, as by a user who allows reports. The suite
needs strace and the right to create a namespace. It prints Markdown. It ends with status 5 if a
command looked up a name, contacted an address beyond loopback, or left an unexpected file.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.server
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.benchmarks.suites.support.every_command import NETWORK, every_command
from edgekit.benchmarks.suites.support.strace import Trace, traced
from edgekit.errors import EdgeKitError, MissingDependencyError

__all__ = ["Watched", "isolation", "main", "watch"]

_INSIDE = "--inside"


class Watched(NamedTuple):
    """A command, with its traced actions.

    Attributes:
        name: Name in the table.
        trace: System calls of the command, summarized.
        strays: Files and folders left on disk that the command does not name.
        expected: Expected exit status.
    """

    name: str
    trace: Trace
    strays: tuple[str, ...]
    expected: int

    @property
    def right(self) -> bool:
        """Whether the command did its work, contacted nobody, and left nothing."""
        trace = self.trace
        silent = not (trace.lookups or trace.strangers or trace.families or self.strays)
        return silent and trace.status == self.expected


def isolation() -> list[str] | None:
    """Returns command words that run a program with only loopback; None if not permitted."""
    for options in ([], ["--map-root-user"]):
        start = ["unshare", "--net", *options, "--"]
        with contextlib.suppress(OSError):
            if subprocess.run([*start, "true"], capture_output=True, check=False).returncode == 0:
                return start
    return None


def watch(commands: str = "") -> Iterator[Watched]:
    """Runs the commands one after the other; call it only inside a network namespace of its own.

    Args:
        commands: Part of the names of the commands to run; earlier commands run too.
    """
    _raise_loopback()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = Path(folder).resolve()
        work, home, temporary = place / "work", place / "home", place / "tmp"
        work.mkdir()
        _add_network(place / "packages")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "ORT_DISABLE_TELEMETRY": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(place / "packages"),
        }
        puppets = ["edgekit.synthetic", "clips", "--clips", "2", "--seed", "5", "--frames", "16"]
        subprocess.run([sys.executable, "-m", *puppets], cwd=work, check=True)
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "signing_key"]
        subprocess.run(key, cwd=work, check=True)
        port = stack.enter_context(_serving(work))
        wanted = every_command(port)
        last = max((i for i, each in enumerate(wanted) if commands in each.name), default=-1)
        for command in wanted[: last + 1]:
            for each in (home, temporary):
                shutil.rmtree(each, ignore_errors=True)
                each.mkdir()
            trace = traced(command.words, work, environment)
            allowed = [
                Path(str(work / path).replace(f"{work}/~", str(home))) for path in command.makes
            ]
            made = {*trace.left, *home.rglob("*"), *temporary.rglob("*")}
            strays = [
                path
                for path in made
                if not any(path.is_relative_to(each) or path in each.parents for each in allowed)
                and path != Path(os.devnull)
            ]
            yield Watched(command.name, trace, tuple(sorted(map(str, strays))), command.expected)


def _add_network(packages: Path) -> None:
    """Makes the tiny network known, as an installed package does."""
    metadata = packages / "tiny_network-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-network\nVersion: 1\n")
    place = f"{every_command.__module__}:ARCHITECTURE"
    entry = f"[edgekit.networks]\n{NETWORK} = {place}\n"
    (metadata / "entry_points.txt").write_text(entry)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # up, running
        fcntl.ioctl(link, 0x8914, request)  # SIOCSIFFLAGS


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Logs nothing."""


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[int]:
    """Yields the port of a server for a folder's files."""
    handler = partial(_Quiet, directory=str(folder))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, or with ``--json`` one line per command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser.parse_args(given)
    if not options.inside:
        start = isolation()
        if start is None:
            raise MissingDependencyError(
                "This machine does not let this user make a network namespace.",
                hint="Run it as root, with unshare of util-linux.",
            )
        module = "edgekit.benchmarks.suites.faults.system_calls"
        return subprocess.run([*start, sys.executable, "-m", module, *given, _INSIDE]).returncode
    wrong, done = 0, list[Trace]()
    if not options.json:
        print("| command | internet sockets | names looked up | beyond loopback | files left |")
        print("|---|---|---|---|---|")
    for one in watch(options.only):
        wrong += not one.right
        trace = one.trace
        if options.json:
            print(json.dumps(_as_json(one)), flush=True)
            continue
        strangers = ", ".join((*trace.strangers, *trace.families)) or "none"
        strays = ", ".join(one.strays) or "none"
        print(
            f"| {one.name} | {trace.sockets} | {trace.lookups} | {strangers} | {strays} |",
            flush=True,
        )
        if trace.status != one.expected:
            print(f"{one.name} ended with {trace.status}:\n{trace.said}", file=sys.stderr)
        done.append(trace)
    if not options.json:
        print(
            f"\n{len(done)} commands: {sum(trace.sockets for trace in done)} internet sockets, "
            f"{sum(trace.lookups for trace in done)} names looked up."
        )
    return 5 if wrong else 0


def _as_json(one: Watched) -> dict[str, Any]:
    trace = one.trace._asdict() | {"left": [str(path) for path in one.trace.left]}
    return {
        "name": one.name,
        "right": one.right,
        "strays": one.strays,
        "expected": one.expected,
    } | trace


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeKitError as error:
        sys.exit(str(error))
