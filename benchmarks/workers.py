"""Controls the measuring processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from edgekit import errors
from edgekit._closing import Closing
from edgekit._parameters import writes_flags
from edgekit.benchmarks.protocol import (
    AccuracyReply,
    AccuracyRequest,
    Failed,
    Job,
    Lap,
    Load,
    Loaded,
    Play,
    Profiled,
    ProfileRequest,
    Ready,
    Reply,
    Request,
    from_line,
    to_line,
)
from edgekit.benchmarks.report.report import RowFailure
from edgekit.errors import EdgeKitError

__all__ = ["Worker", "raise_failure"]

_PATIENCE = 5.0


def _code() -> str:
    """Returns the worker's code, which uses the module paths and the wording of this process."""
    path = [place or str(Path.cwd()) for place in sys.path]
    return (
        f"import sys; sys.path[:] = {path!r}; from edgekit.benchmarks.worker import main; "
        f"main(as_flags={writes_flags()})"
    )


class Worker(Closing):
    """A process that keeps a bundle open and plays footage on request.

    Args:
        job: Measurement to prepare.

    Attributes:
        ready: Message that it sent when its times were steady.

    Raises:
        EdgeKitError: An error in the process, with its own class; or the process ended.
    """

    def __init__(self, job: Job) -> None:
        self._bundle = job.bundle
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        begun = time.monotonic()
        # Started in its own session, so that only its parent gets Ctrl-C.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _code()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self.ready: Ready = self._ask(msgspec.structs.replace(job, begun=begun))
        except BaseException:
            self.close()
            raise

    def play(self) -> Lap:
        """Measures one pass over the footage."""
        lap: Lap = self._ask(Play())
        return lap

    def accuracy(self, root: str) -> AccuracyReply:
        """Returns the accuracy on the annotated videos below ``root``."""
        reply: AccuracyReply = self._ask(AccuracyRequest(root=root))
        return reply

    def load(self, root: str) -> Loaded:
        """Returns the cost of dropped frames on the annotated videos below ``root``."""
        loaded: Loaded = self._ask(Load(root=root))
        return loaded

    def profile(self) -> Profiled:
        """Returns the times of the model's operators, or the reason why there are none."""
        profiled: Profiled = self._ask(ProfileRequest())
        return profiled

    def _ask(self, request: Request) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(to_line(request))
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise EdgeKitError(self._how_it_ended())
        reply = from_line(line, Reply)
        if isinstance(reply, Failed):
            raise_failure(reply.failure)
        return reply

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        return f"The process that ran {self._bundle} ended with {how}{f': {last}' if last else ''}."

    def close(self) -> None:
        """Ends the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def raise_failure(failure: RowFailure) -> None:
    """Raises the error that ``failure_of`` was given.

    Raises:
        EdgeKitError: Always, in the class of that error.
    """
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    by_code = {vars(each)["code"]: each for each in classes if "code" in vars(each)}
    raise by_code.get(failure.code, EdgeKitError)(failure.message, hint=failure.hint)
