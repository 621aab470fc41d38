"""A bounded queue on disk of messages that wait to be sent."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgekit._closing import Closing
from edgekit._parameters import parameter
from edgekit.errors import OutputError
from edgekit.files.output_paths import longest_name, writing
from edgekit.files.permissions import make_private
from edgekit.files.schemas import check_schema

__all__ = ["Outbox", "QueuedMessage", "check_name"]

_LOG = logging.getLogger(__name__)
_SCHEMA = 1
_OTHER_FILES = ("", "-wal", "-journal")
"""Endings of the files of a queue: its own, and those that SQLite adds."""
_LONGEST_ENDING = "-journal"
_SYNC_EVERY = 1.0
_TABLE = "message (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, payload BLOB, kind TEXT)"
_INDEX = "surplus ON message (kind != 'update', id)"
_NUMBERS = "CREATE TABLE sqlite_sequence(name,seq)"
"""Table that SQLite itself adds for AUTOINCREMENT."""

_LONGEST = 1 << 24
"""Largest message in bytes; the longest tubes take a few hundred kilobytes."""


class _DamagedError(sqlite3.DatabaseError):
    """The file is a queue, and parts of it were overwritten."""


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


def check_name(path: Path) -> None:
    """Raises ``OutputError`` if the folder of a queue is missing, or its name is too long."""
    with writing(path):
        path.parent.stat()
    most_bytes = longest_name(path.parent) - len(_LONGEST_ENDING)
    if len(os.fsencode(path.name)) > most_bytes:
        raise OutputError(
            f"Cannot use the buffer {path}: its name has {len(os.fsencode(path.name))} bytes, "
            f"and at most {most_bytes} are allowed. SQLite adds {_LONGEST_ENDING} to the name "
            "for another file.",
            hint=f"Give it a shorter name: {parameter('mqtt_buffer', 'FILE')}",
        )


class Outbox(Closing):
    """A queue in an SQLite file; safe to use from several threads.

    A message stays from ``add`` to ``remove``, even if the process is killed or the machine loses
    power. A power cut may lose messages of kind ``update`` of the last second. Above the size limit
    the oldest messages of kind ``update`` are dropped first, then the oldest of any kind. A damaged
    queue is set aside, and a new one begins: nobody is near a device to remove it.

    Args:
        path: File of the queue, created if missing, in an existing folder, for its owner alone.
        most: Largest total size of the payloads, in bytes.
        only_checks: Whether a damaged queue stays where it is; a warning says what a run would do.

    Attributes:
        dropped: Number of messages dropped because of the size limit, by kind.

    Raises:
        OutputError: The file cannot be used; any call may raise it.
    """

    def __init__(self, path: Path, most: int, *, only_checks: bool = False) -> None:
        self._path = path
        self._most = most
        self._synced = float("-inf")
        self._lock = threading.Lock()
        self.dropped = {"start": 0, "update": 0, "end": 0}
        check_name(path)
        with writing(path):
            # SQLite gives its other files the permissions of this file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
        make_private(path)
        with self._guarded():
            try:
                self._open()
            except _DamagedError as error:
                if only_checks:
                    words = (
                        "The buffer %s is damaged: %s. A run would rename it to %s.damaged, begin "
                        "a new one, and not send the messages in the old one."
                    )
                    _LOG.warning(words, path, error, path)
                    return
                self._set_aside(error)
                self._open()

    def _open(self) -> None:
        self._base = sqlite3.connect(
            self._path, timeout=0.0, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException as error:
            self._base.close()
            if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
                raise _DamagedError(*error.args) from error
            raise

    def _set_aside(self, error: _DamagedError) -> None:
        kept = f"{self._path}.damaged"
        for ending in _OTHER_FILES:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{ending}").replace(f"{kept}{ending}")
        _LOG.warning(
            "The buffer %s is damaged: %s. The messages in it will not be sent; it is %s now.",
            self._path,
            error,
            kept,
        )

    def _prepare(self) -> None:
        # Only one process may use the file: two would send each other's messages.
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Files of before there was a schema have 0 here, and the same tables.
        (schema,) = self._base.execute("PRAGMA user_version").fetchone()
        check_schema(
            schema,
            _SCHEMA,
            what="queue",
            path=self._path,
            error=OutputError,
            hint=f"Name another file: {parameter('mqtt_buffer', 'FILE')}",
            oldest=0,
        )
        self._refuse_foreign()
        if schema != _SCHEMA:
            self._base.execute(f"PRAGMA user_version = {_SCHEMA}")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE}")
        # Without it, a full queue is sorted for every message that is added.
        self._base.execute(f"CREATE INDEX IF NOT EXISTS {_INDEX}")
        (check,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise _DamagedError(check)
        found = self._base.execute(
            "SELECT COUNT(*), TOTAL(LENGTH(payload)), COALESCE(MAX(LENGTH(payload)), 0), "
            "TOTAL(typeof(topic) != 'text' OR typeof(payload) != 'blob' OR typeof(kind) != 'text' "
            "OR LENGTH(topic) NOT BETWEEN 1 AND 65535 OR topic GLOB '*[#+]*') FROM message"
        )
        self._count: int
        self._bytes: int
        self._count, size, longest, wrong = found.fetchone()
        self._bytes = int(size)
        if wrong or longest > _LONGEST:
            raise self._foreign(
                f"{wrong:.0f} rows that are no messages, and up to {longest} bytes in one"
            )

    def _refuse_foreign(self) -> None:
        """Refuses triggers, views and other tables, which SQLite would run as EdgeKit's own."""
        own = {f"CREATE TABLE {_TABLE}", f"CREATE INDEX {_INDEX}", _NUMBERS}
        for name, text in self._base.execute("SELECT name, sql FROM sqlite_master"):
            if text not in own:
                raise self._foreign(f"{name!r:.80}")

    def _foreign(self, found: str) -> OutputError:
        return OutputError(
            f"Expected {self._path} to hold messages that EdgeKit has queued; found {found}.",
            hint=f"Name another file: {parameter('mqtt_buffer', 'FILE')}",
        )

    def __len__(self) -> int:
        with self._lock:
            return self._count

    def add(self, messages: Sequence[QueuedMessage]) -> None:
        """Adds all messages, or none if it fails."""
        with self._lock:
            with self._guarded(), self._transaction(synced=self._must_sync(messages)):
                self._base.executemany(
                    "INSERT INTO message (topic, payload, kind) VALUES (?, ?, ?)", messages
                )
                count = self._count + len(messages)
                size = self._bytes + sum(len(message.payload) for message in messages)
                surplus = self._surplus(size - self._most, count - 1)
                self._base.executemany(
                    "DELETE FROM message WHERE id = ?", [(number,) for number, _, _ in surplus]
                )
            dropped = dict(self.dropped)
            for _, length, kind in surplus:
                size -= length
                dropped[kind] = dropped.get(kind, 0) + 1
            self._count, self._bytes, self.dropped = count - len(surplus), size, dropped

    def after(self, place: int, most: int) -> list[tuple[int, str, bytes]]:
        """Returns up to ``most`` messages after number ``place``: number, topic and payload."""
        with self._lock, self._guarded():
            return self._base.execute(
                "SELECT id, topic, payload FROM message WHERE id > ? ORDER BY id LIMIT ?",
                (place, most),
            ).fetchall()

    def remove(self, numbers: Sequence[int]) -> None:
        """Removes messages that the broker has received, or none if it fails."""
        with self._lock:
            sizes = []
            with self._guarded(), self._transaction():
                for number in numbers:
                    gone = self._base.execute(
                        "SELECT LENGTH(payload) FROM message WHERE id = ?", (number,)
                    ).fetchone()
                    if gone is not None:
                        self._base.execute("DELETE FROM message WHERE id = ?", (number,))
                        sizes.append(gone[0])
            # Not before: a full disk may refuse the transaction at its end.
            self._count -= len(sizes)
            self._bytes -= sum(sizes)

    def close(self) -> None:
        """Closes the file."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._base.close()

    def _surplus(self, excess: int, most: int) -> list[tuple[int, int, str]]:
        """Returns at most ``most`` messages to drop, which free ``excess`` bytes if they suffice.

        Returns:
            The number, bytes and kind of each message, the oldest updates first.
        """
        if excess <= 0:
            return []
        rows = self._base.execute(
            "SELECT id, LENGTH(payload), kind FROM message ORDER BY kind != 'update', id LIMIT ?",
            (most,),
        )
        found = []
        for number, length, kind in rows:
            found.append((number, length, kind))
            excess -= length
            if excess <= 0:
                break
        return found

    def _must_sync(self, messages: Sequence[QueuedMessage]) -> bool:
        """Returns whether messages, and those before them, must survive a power cut from now on.

        The kernel keeps what is not synced in memory, for up to half a minute.
        """
        return any(message.kind != "update" for message in messages) or (
            time.monotonic() - self._synced > _SYNC_EVERY
        )

    @contextlib.contextmanager
    def _transaction(self, *, synced: bool = False) -> Iterator[None]:
        self._base.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        self._base.execute("BEGIN")
        try:
            yield
            self._base.execute("COMMIT")
            if synced:
                self._synced = time.monotonic()
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
