"""Receives requests of ``edgekit deploy`` and answers them, over standard input and output."""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["DeviceError", "HungUpError", "WorkstationConnection"]

_PIECE = 1 << 20
_LONGEST_LINE = 1 << 24
_PATIENCE = 1800.0
"""Seconds to wait for a request before the workstation counts as gone."""


class DeviceError(Exception):
    """A step on the device failed.

    Args:
        message: Description of what was expected and found.
        hint: Advice for the user; empty if there is none.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class HungUpError(DeviceError):
    """The workstation closed the connection."""


class WorkstationConnection:
    """Connection to the workstation. Each request gets one answer, after any number of notes.

    A request is a line of JSON, and may be followed by the bytes of a file.

    Args:
        requests: Stream of requests.
        answers: Stream of answers.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests = requests
        self._answers = answers

    def next(self) -> tuple[str, dict[str, object]] | None:
        """Returns name and arguments of the next request; None if the workstation is gone."""
        if not select.select([self._requests], [], [], _PATIENCE)[0]:
            return None
        line = self._requests.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            return None
        request = json.loads(line)
        return request["do"], request["with"]

    @contextlib.contextmanager
    def body(self, size: int) -> Iterator[Iterator[bytes]]:
        """Yields the bytes that follow a request, in pieces; the rest is read after the block.

        If the block fails, as on a full disk, the rest would otherwise be taken for requests.

        Raises:
            HungUpError: The connection ended before that.
        """
        pieces = self._pieces(size)
        try:
            yield pieces
        finally:
            for _ in pieces:
                pass

    def note(self, text: str) -> None:
        """Sends a line about the progress; it may be lost if the workstation is gone."""
        with contextlib.suppress(OSError):
            self._send({"note": text})

    def done(self, value: object) -> None:
        """Answers a request with its result."""
        self._send({"done": value})

    def failed(self, error: DeviceError) -> None:
        """Answers a request with an error."""
        self._send({"failed": {"message": error.message, "hint": error.hint}})

    def send_file(self, stream: BinaryIO, size: int) -> None:
        """Answers a request with the bytes of a file."""
        self._send({"done": size})
        while piece := stream.read(_PIECE):
            self._answers.write(piece)
        self._answers.flush()

    def hung_up(self) -> bool:
        """Returns whether the workstation has closed the connection, without waiting."""
        # Between request and answer the workstation sends nothing, so readable means closed.
        return bool(select.select([self._requests], [], [], 0)[0])

    def close(self) -> None:
        """Closes the connection for this process."""
        self._requests.close()
        self._answers.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._requests.read(min(size, _PIECE))
            if not piece:
                raise HungUpError("The connection ended within a file.")
            size -= len(piece)
            yield piece

    def _send(self, answer: dict[str, object]) -> None:
        self._answers.write(json.dumps(answer).encode() + b"\n")
        self._answers.flush()
