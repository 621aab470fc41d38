"""Pickles of plain data: containers, text, numbers and arrays of numbers.

``pickle`` takes memory for any memo that a file claims to have, and numpy's setter of array states
trusts what it is given. Here nothing that a pickle names is imported or called, arrays are views of
bytes that are in the file, and nothing is made that is larger than the file allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.metrics._pickle_bytes import (
    Read,
    UnreadablePickle,
    check_length,
    counted,
    fixed,
    line,
    long,
    number,
    quoted,
)
from edgekit.metrics._pickle_machine import Machine

__all__ = ["MOST_OPERATIONS", "UnreadablePickle", "loads_plain"]

MOST_OPERATIONS = 800_000
"""The annotations of UCF101-24 need 300,000."""


def loads_plain(content: bytes) -> Any:
    """What a pickle holds: dicts by text, lists, tuples, text, bytes, numbers and arrays.

    Text of Python 2 is read as Latin-1. Arrays are read-only.

    Raises:
        UnreadablePickle: It is damaged, names anything else, or claims more than it has.
    """
    try:
        return _run(Machine(content))
    except UnreadablePickle:
        raise
    except Exception as error:  # damaged pickles fail in many ways
        reason = str(error) or type(error).__name__
        raise UnreadablePickle(f"it is damaged ({reason:.200})") from error


def _run(machine: Machine) -> Any:
    for _ in range(MOST_OPERATIONS):
        if machine.at >= machine.size:
            raise UnreadablePickle("it is truncated")
        code = machine.content[machine.at]
        machine.at += 1
        if code == _STOP:
            (result,) = machine.stack
            return result
        step = _STEPS.get(code)
        if step is None:
            shown = chr(code) if 32 < code < 127 else f"{code:#04x}"
            raise UnreadablePickle(
                f"it has the operation '{shown}', which plain data does not need"
            )
        step(machine)
    raise UnreadablePickle(f"it has more than {MOST_OPERATIONS} operations")


_Step = Callable[[Machine], None]


def _frame(machine: Machine) -> None:
    check_length(machine, _QUAD(machine))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _latin(content: bytes) -> str:
    return content.decode("latin-1")


def _push(read: Read) -> _Step:
    def step(machine: Machine) -> None:
        machine.stack.append(read(machine))

    return step


def _put(read: Read) -> _Step:
    return lambda machine: machine.put(read(machine))


def _get(read: Read) -> _Step:
    return lambda machine: machine.stack.append(machine.get(read(machine)))


_BYTE, _HALF, _SIGNED, _WORD, _QUAD = map(fixed, ("<B", "<H", "<i", "<I", "<Q"))
_DECIMAL, _NAME = line(int), line(_text)
_STOP = ord(".")

_STEPS: dict[int, _Step] = {
    ord(code): step
    for code, step in {
        b"\x80": _BYTE,  # the protocol
        b"\x95": _frame,
        b"\x98": lambda machine: None,  # a buffer that is read only
        b"N": _push(lambda machine: None),
        b"\x88": _push(lambda machine: True),
        b"\x89": _push(lambda machine: False),
        b"]": _push(lambda machine: []),
        b"}": _push(lambda machine: {}),
        b")": _push(lambda machine: ()),
        b"K": _push(_BYTE),
        b"M": _push(_HALF),
        b"J": _push(_SIGNED),
        b"G": _push(fixed(">d")),
        b"I": _push(line(number)),
        b"L": _push(line(lambda line: int(line.removesuffix(b"L")))),
        b"F": _push(line(float)),
        b"\x8a": _push(counted("<B", long)),
        b"\x8b": _push(counted("<i", long)),
        b"S": _push(line(quoted)),
        b"U": _push(counted("<B", _latin)),
        b"T": _push(counted("<i", _latin)),
        b"V": _push(line(lambda line: line.decode("raw-unicode-escape"))),
        b"\x8c": _push(counted("<B", _text)),
        b"X": _push(counted("<I", _text)),
        b"\x8d": _push(counted("<Q", _text)),
        b"C": _push(counted("<B", bytes)),
        b"B": _push(counted("<I", bytes)),
        b"\x8e": _push(counted("<Q", bytes)),
        b"\x96": _push(counted("<Q", bytes)),
        b"p": _put(_DECIMAL),
        b"q": _put(_BYTE),
        b"r": _put(_WORD),
        b"\x94": Machine.memoize,
        b"g": _get(_DECIMAL),
        b"h": _get(_BYTE),
        b"j": _get(_WORD),
        b"(": Machine.mark,
        b"0": Machine.pop,
        b"1": Machine.pop_mark,
        b"2": Machine.duplicate,
        b"l": Machine.to_list,
        b"t": Machine.to_tuple,
        b"\x85": Machine.to_tuple1,
        b"\x86": Machine.to_tuple2,
        b"\x87": Machine.to_tuple3,
        b"d": Machine.to_dict,
        b"a": Machine.append,
        b"e": Machine.appends,
        b"s": Machine.set_item,
        b"u": Machine.set_items,
        b"c": lambda machine: machine.name(f"{_NAME(machine)} {_NAME(machine)}"),
        b"\x93": Machine.stacked_name,
        b"R": Machine.reduce,
        b"b": Machine.build,
    }.items()
}
