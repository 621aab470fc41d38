"""A bounded queue on disk of messages that wait to be sent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgekit._closing import Closing
from edgekit._parameters import parameter
from edgekit.errors import OutputError
from edgekit.files.output_paths import longest_name, writing
from edgekit.files.permissions import make_private

__all__ = ["Outbox", "QueuedMessage"]

_BATCH = 256
_LONGEST_ENDING = "-journal"


class QueuedMessage(NamedTuple):
    """A message to send.

    Attributes:
        topic: MQTT topic.
        payload: Content in bytes.
        kind: Kind of event: ``start``, ``update`` or ``end``.
    """

    topic: str
    payload: bytes
    kind: str


class Outbox(Closing):
    """A queue in an SQLite file; safe to use from several threads.

    A message stays from ``add`` to ``remove``, even if the process is killed or the machine loses
    power; a power cut may lose the newest messages. Above the size limit the oldest messages of
    kind ``update`` are dropped first, then the oldest of any kind.

    Args:
        path: File of the queue, created if missing, in an existing folder, for its owner alone.
        most: Largest total size of the payloads, in bytes.

    Attributes:
        dropped: Number of messages dropped because of the size limit, by kind.

    Raises:
        OutputError: The file cannot be used; any call may raise it.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._lock = threading.Lock()
        self.dropped = {"start": 0, "update": 0, "end": 0}
        with writing(path):
            path.parent.stat()
        most_bytes = longest_name(path.parent) - len(_LONGEST_ENDING)
        if len(os.fsencode(path.name)) > most_bytes:
            raise OutputError(
                f"Cannot use the buffer {path}: its name has {len(os.fsencode(path.name))} bytes, "
                f"and {most_bytes} is the most, because SQLite needs NAME{_LONGEST_ENDING} too.",
                hint=f"Give it a shorter name: {parameter('mqtt_buffer', 'FILE')}",
            )
        with writing(path):
            # SQLite gives its other files the permissions of this file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
        make_private(path)
        with self._guarded():
            self._base = sqlite3.connect(
                path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._base.close()
                raise

    def _prepare(self) -> None:
        # Only one process may use the file: two would send each other's messages.
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS message "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, payload BLOB, kind TEXT)"
        )
        found = self._base.execute(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(payload)), 0) FROM message"
        )
        self._count: int
        self._bytes: int
        self._count, self._bytes = found.fetchone()

    def __len__(self) -> int:
        with self._lock:
            return self._count

    def add(self, messages: Sequence[QueuedMessage]) -> None:
        """Adds all messages, or none if it fails."""
        with self._lock, self._guarded(), self._transaction():
            self._base.executemany(
                "INSERT INTO message (topic, payload, kind) VALUES (?, ?, ?)", messages
            )
            count, size = len(messages), sum(len(message.payload) for message in messages)
            dropped = dict(self.dropped)
            while self._bytes + size > self._most and self._count + count > 1:
                spare = self._count + count - 1
                less, bytes_less = self._drop(self._bytes + size - self._most, spare, dropped)
                count, size = count - less, size - bytes_less
        with self._lock:
            self._count += count
            self._bytes += size
            self.dropped = dropped

    def after(self, place: int, most: int) -> list[tuple[int, str, bytes]]:
        """Returns up to ``most`` messages after number ``place``: number, topic and payload."""
        with self._lock, self._guarded():
            return self._base.execute(
                "SELECT id, topic, payload FROM message WHERE id > ? ORDER BY id LIMIT ?",
                (place, most),
            ).fetchall()

    def remove(self, numbers: Sequence[int]) -> None:
        """Removes messages that the broker has received."""
        with self._lock, self._guarded(), self._transaction():
            for number in numbers:
                gone = self._base.execute(
                    "SELECT LENGTH(payload) FROM message WHERE id = ?", (number,)
                ).fetchone()
                if gone is not None:
                    self._base.execute("DELETE FROM message WHERE id = ?", (number,))
                    self._count -= 1
                    self._bytes -= gone[0]

    def close(self) -> None:
        """Closes the file."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._base.close()

    def _drop(self, excess: int, spare: int, dropped: dict[str, int]) -> tuple[int, int]:
        """Removes the oldest updates, or else the oldest messages; returns their number and bytes.

        Args:
            excess: Number of bytes to free.
            spare: Largest number of messages to remove.
            dropped: Counts by kind, updated in place.
        """
        chosen: list[tuple[int, int, str]] = []
        for condition in ("kind = 'update'", "1"):
            chosen = self._base.execute(
                # The condition is one of the two above.
                f"SELECT id, LENGTH(payload), kind FROM message WHERE {condition} "  # noqa: S608
                "ORDER BY id LIMIT ?",
                (min(_BATCH, spare),),
            ).fetchall()
            if chosen:
                break
        less = size = 0
        for number, length, kind in chosen:
            if size >= excess:
                break
            self._base.execute("DELETE FROM message WHERE id = ?", (number,))
            less, size = less + 1, size + length
            dropped[kind] = dropped.get(kind, 0) + 1
        return less, size

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise OutputError(
                    f"The buffer {self._path} is in use by another run.",
                    hint=f"Name another file: {parameter('mqtt_buffer', 'FILE')}",
                ) from error
            raise OutputError(
                f"Cannot use the buffer {self._path}: {error}.",
                hint="Free some space there, remove the file, or name another: "
                f"{parameter('mqtt_buffer', 'FILE')}",
            ) from error
