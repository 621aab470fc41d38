"""Reads pickles of plain data safely: containers, text, numbers and arrays of numbers.

``pickle`` allocates memory for any memo that a file claims to have, and numpy's array state setter
trusts its input. This reader parses a pickle with ``pickletools``, and imports or calls nothing
that the pickle names. Arrays are views of the file's own bytes, and no value is larger than the
file allows.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from itertools import islice
from typing import Any

from edgekit.datasets._pickle_arrays import Dtype, Unbuilt, UnreadablePickle, array_of

__all__ = ["MOST_OPERATIONS", "UnreadablePickle", "loads_plain"]

MOST_OPERATIONS = 800_000
"""Largest number of operations; the annotations of UCF101-24 need 300,000."""

_LARGEST_KEY = 1 << 16
"""Bound of whole numbers as keys: so few cannot collide often enough to take long."""

_LONGEST_NUMBER = 1024
"""Largest number of bits of a whole number, besides its sign."""

_NAMES = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "numpy.core.multiarray _reconstruct": "array",
    "numpy.core.multiarray scalar": "scalar",
    "numpy.core.numeric _frombuffer": "buffer",
    "_codecs encode": "encode",
    "collections OrderedDict": "dict",
    "__builtin__ bytes": "bytes",  # an empty value, in the oldest protocols
    "builtins bytes": "bytes",
}
_VALUES = {
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "SHORT_BINBYTES",
    "BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
}
"""Operations that push a number or text onto the stack."""

_FIXED: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}


class _PickleName:
    """A name in a pickle that this reader implements."""

    def __init__(self, text: str) -> None:
        module, _, name = text.partition(" ")
        # numpy 2 writes numpy._core, and numpy 1 writes numpy.core.
        text = f"{module.replace('numpy._core', 'numpy.core')} {name}"
        if text not in _NAMES:
            named = f"{module}.{name}"
            raise UnreadablePickle(f"it names {named!r:.200}, which is not allowed here")
        self.kind = _NAMES[text]


def loads_plain(content: bytes, most: int = MOST_OPERATIONS) -> Any:
    """Returns the content of a pickle of plain data.

    Plain data are dicts, lists, tuples, text, bytes, numbers and arrays. Whole numbers have at most
    1024 bits. Keys are text or whole numbers below 65,536. Text of Python 2 is read as Latin-1.
    Arrays are read-only.

    Args:
        content: Content of the file.
        most: Largest number of operations.

    Raises:
        UnreadablePickle: The pickle is damaged, names anything else, or claims more than it has.
    """
    machine = _Machine(len(content))
    try:
        for operation, argument, _ in islice(pickletools.genops(content), most):
            if operation.name == "STOP":
                (result,) = machine.stack
                return result
            machine.do(operation.name, argument)
    except UnreadablePickle:
        raise
    except Exception as error:  # damaged pickles fail in many ways
        reason = str(error) or type(error).__name__
        raise UnreadablePickle(f"it is damaged ({reason:.200})") from error
    raise UnreadablePickle(f"it has more than {most} operations")


class _Machine:
    """Stack and memo of the pickle that is being read; ``size`` is its length in bytes."""

    def __init__(self, size: int) -> None:
        self._size = self._room = size
        self.stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        """Executes one operation."""
        stack = self.stack
        if name in _VALUES:
            # The text of longer numbers takes quadratic time, and Python refuses to show it.
            if type(argument) is int and argument.bit_length() > _LONGEST_NUMBER:
                raise UnreadablePickle(f"it has a number of {argument.bit_length()} bits")
            stack.append(bytes(argument) if name == "BYTEARRAY8" else argument)
            return
        if name in _FIXED:
            stack.append(_FIXED[name]())
            return
        match name:
            case "PROTO" | "FRAME" | "READONLY_BUFFER":
                pass
            case "MARK":
                self._outer.append(stack)
                self.stack = []
            case "POP" if stack:
                stack.pop()
            case "POP" | "POP_MARK":
                self._marked()
            case "DUP":
                stack.append(stack[-1])
            case "MEMOIZE":
                self._put(len(self._memo))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._put(argument)
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "TUPLE":
                items = self._marked()
                self.stack.append(tuple(items))
            case "LIST":
                items = self._marked()
                self.stack.append(items)
            case "DICT":
                items = self._marked()
                self.stack.append({})
                self._fill(items)
            case "APPEND":
                value = stack.pop()
                self._extend([value])
            case "APPENDS":
                self._extend(self._marked())
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._fill([key, value])
            case "SETITEMS":
                self._fill(self._marked())
            case _:
                self._do_call(name, argument)

    def _do_call(self, name: str, argument: Any) -> None:
        """Executes one of the operations that name something, or make a value with it."""
        stack = self.stack
        match name:
            case "GLOBAL":
                stack.append(_PickleName(argument))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_PickleName(f"{module} {name}"))
            case "REDUCE":
                arguments, called = stack.pop(), stack.pop()
                stack.append(self._called(called, arguments))
            case "BUILD":
                self._build(stack.pop())
            case _:
                raise UnreadablePickle(
                    f"it has the operation {name}, which plain data does not need"
                )

    def _put(self, index: int) -> None:
        if not 0 <= index < self._size:
            raise UnreadablePickle(f"it claims a memo of {index} items in {self._size} bytes")
        self._memo[index] = value = self.stack[-1]
        if isinstance(value, Unbuilt):
            value.places.append(index)

    def _marked(self) -> list[Any]:
        items, self.stack = self.stack, self._outer.pop()
        return items

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise UnreadablePickle(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def _fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise UnreadablePickle(f"it sets items of a {type(target).__name__}")
        # Hashing nested tuples, or many numbers with chosen hash collisions, could take forever.
        if not all(
            type(key) is str or (type(key) is int and 0 <= key < _LARGEST_KEY) for key in items[::2]
        ):
            raise UnreadablePickle("it has keys that are neither text nor small numbers")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _build(self, state: Any) -> None:
        unbuilt = self.stack[-1]
        if isinstance(unbuilt, Dtype):
            unbuilt.set_order(state[1])
        elif isinstance(unbuilt, Unbuilt):
            _, shape, dtype, fortran, raw = state
            array = self._array(raw, dtype, shape, "F" if fortran else "C")
            self.stack[-1] = array
            for place in unbuilt.places:
                self._memo[place] = array
        else:
            raise UnreadablePickle(f"it gives a state to a {type(unbuilt).__name__}")

    def _called(self, name: Any, arguments: Any) -> Any:
        if not (isinstance(name, _PickleName) and isinstance(arguments, tuple)):
            raise UnreadablePickle("it calls what is no name")
        match name.kind, arguments:
            case "array", _:
                return Unbuilt()
            case "dtype", (code, *_):
                return Dtype(code)
            case "scalar", (Dtype(is_text=True) as dtype, bytes(raw)):
                self._take(len(raw))
                return dtype.text(raw)
            case "scalar", (dtype, raw):
                return self._array(raw, dtype, (), "C").item()
            case "buffer", (raw, dtype, shape, order):
                return self._array(raw, dtype, shape, "F" if order == "F" else "C")
            case "encode", (str(text), _):
                return self._encoded(text)
            case "dict", ():
                return {}
            case "bytes", ():
                return b""
        raise UnreadablePickle(f"it makes a {name.kind} of {len(arguments)} values")

    def _array(self, raw: object, dtype: object, shape: object, order: str) -> Any:
        return array_of(self._encoded(raw) if isinstance(raw, str) else raw, dtype, shape, order)

    def _encoded(self, text: str) -> bytes:
        self._take(len(text))
        return text.encode("latin-1")

    def _take(self, count: int) -> None:
        """Counts copied bytes, because a pickle can copy bytes from the memo again and again."""
        self._room -= count
        if self._room < 0:
            raise UnreadablePickle("it makes more of its text than it has")
