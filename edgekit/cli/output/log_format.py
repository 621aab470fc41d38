"""Formats log messages for a terminal or a journal: names cannot break a record into several."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from edgekit._printable import printable

__all__ = ["PrintableFormatter"]


class PrintableFormatter(logging.Formatter):
    """Escapes control characters in paths and in foreign text."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the message, with its traceback if there is one."""
        if isinstance(record.args, tuple):
            shown = logging.makeLogRecord(record.__dict__)
            shown.args = tuple(map(_shown, record.args))
            record = shown
        return printable(super().format(record), lines=True)


def _shown(argument: Any) -> Any:
    return printable(str(argument)) if isinstance(argument, Path) else argument
