"""Names a parameter in a message: as ``--option`` on the command line, as ``keyword`` in Python.

A message of the library names a parameter by ``parameter("threads", 1)``. A Python program reads
``threads=1``. The command line calls ``write_flags``, so its user reads ``--threads 1``.
"""

from __future__ import annotations

__all__ = ["argument", "parameter", "write_flags", "writes_flags"]

_flags = False

_FLAGS = {"origin": "from"}
"""Flags that are called otherwise than their parameter, because Python reserves the word."""


_PLACEHOLDERS = frozenset(
    [
        "CHECKPOINT",
        "COMMAND",
        "DIR",
        "FILE",
        "FOLDER",
        "LAYER",
        "NODE",
        "PATH",
        "REGEX",
        "S",
        "VIDEO",
        "WxH",
    ]
)
"""Values that stand for one of the reader's own; Python shows other text in quotes."""


def parameter(name: str, value: object = None) -> str:
    """Returns a parameter's name for a message, with a value if one is given.

    Args:
        name: Name of the parameter in Python. The command line's flag is the same name with dashes.
        value: Value to show beside the name: ``threads=1`` or ``--threads 1``; ``link='road'`` or
            ``--link road``. True shows a switch:
            ``realtime=True`` or ``--realtime``.

    An attribute, such as ``frame.time``, is no parameter, and has the same name in both.
    """
    if not _flags or "." in name:
        if isinstance(value, str) and value not in _PLACEHOLDERS:
            value = repr(value)
        return name if value is None else f"{name}={value}"
    flag = f"--{_FLAGS.get(name, name).replace('_', '-')}"
    return flag if value is None or value is True else f"{flag} {value}"


def argument(name: str) -> str:
    """Returns the name of a parameter that has no flag: ``bundle``, or ``BUNDLE`` in a command."""
    return name.upper() if _flags else name


def write_flags(on: bool) -> bool:
    """Chooses for this process whether messages name flags; returns the previous choice.

    Only the command line and the processes that it starts choose flags.
    """
    global _flags
    before, _flags = _flags, on
    return before


def writes_flags() -> bool:
    """Returns whether messages name flags, for a process that passes the choice to another."""
    return _flags
