"""What the operations of a pickle do, for plain data alone."""

from __future__ import annotations

from typing import Any

from edgekit.metrics._pickle_arrays import Dtype, Unbuilt, array_of
from edgekit.metrics._pickle_bytes import Bytes, UnreadablePickle

__all__ = ["Machine"]

_ARRAY, _SCALAR, _BUFFER, _DTYPE = "array", "scalar", "buffer", "dtype"
_NAMES = {
    "numpy ndarray": "ndarray",
    "numpy dtype": _DTYPE,
    "numpy.core.multiarray _reconstruct": _ARRAY,
    "numpy.core.multiarray scalar": _SCALAR,
    "numpy.core.numeric _frombuffer": _BUFFER,
    "_codecs encode": "encode",
    "collections OrderedDict": "dict",
    "__builtin__ bytes": "bytes",  # of none, at the oldest protocols
    "builtins bytes": "bytes",
}


class _Name:
    """Something that a pickle names, of which there is a version here."""

    def __init__(self, text: str) -> None:
        self.kind = _NAMES[text]


class Machine(Bytes):
    """The stack and the memo of a pickle that is being read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._room = len(content)
        self.stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def mark(self) -> None:
        self._outer.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._marked()

    def pop_mark(self) -> None:
        self._marked()

    def duplicate(self) -> None:
        self.stack.append(self.stack[-1])

    def put(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise UnreadablePickle(f"it claims a memo of {index} items in {self.size} bytes")
        self._memo[index] = value = self.stack[-1]
        if isinstance(value, Unbuilt):
            value.places.append(index)

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> Any:
        return self._memo[index]

    def to_list(self) -> None:
        items = self._marked()
        self.stack.append(items)

    def to_tuple(self) -> None:
        items = self._marked()
        self.stack.append(tuple(items))

    def to_tuple1(self) -> None:
        self.stack[-1:] = [tuple(self.stack[-1:])]

    def to_tuple2(self) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def to_tuple3(self) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def to_dict(self) -> None:
        items = self._marked()
        self.stack.append({})
        self._fill(items)

    def append(self) -> None:
        value = self.stack.pop()
        self._extend([value])

    def appends(self) -> None:
        self._extend(self._marked())

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def set_items(self) -> None:
        self._fill(self._marked())

    def name(self, text: str) -> None:
        module, _, name = text.partition(" ")
        # numpy 2 writes and has numpy._core, numpy 1 numpy.core.
        text = f"{module.replace('numpy._core', 'numpy.core')} {name}"
        if text not in _NAMES:
            named = f"{module}.{name}"
            raise UnreadablePickle(f"it names {named!r:.200}, which is not allowed here")
        self.stack.append(_Name(text))

    def stacked_name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.name(f"{module} {name}")

    def reduce(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, _Name) and isinstance(arguments, tuple)):
            raise UnreadablePickle("it calls what is no name")
        self.stack.append(self._called(name.kind, arguments))

    def build(self) -> None:
        state, unbuilt = self.stack.pop(), self.stack[-1]
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

    def _called(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        if kind == _ARRAY:
            return Unbuilt()
        if kind == _DTYPE:
            return Dtype(arguments[0])
        if kind == _SCALAR:
            dtype, raw = arguments
            if isinstance(dtype, Dtype) and dtype.is_text and isinstance(raw, bytes):
                self._take(len(raw))
                return dtype.text(raw)
            return self._array(raw, dtype, (), "C").item()
        if kind == _BUFFER:
            raw, dtype, shape, order = arguments
            return self._array(raw, dtype, shape, "F" if order == "F" else "C")
        if kind == "encode":
            text, _ = arguments
            return self._encoded(text)
        if kind == "dict" and not arguments:
            return {}
        if kind == "bytes" and not arguments:
            return b""
        raise UnreadablePickle(f"it makes a {kind} of {len(arguments)} values")

    def _array(self, raw: object, dtype: object, shape: object, order: str) -> Any:
        return array_of(self._encoded(raw) if isinstance(raw, str) else raw, dtype, shape, order)

    def _encoded(self, text: str) -> bytes:
        self._take(len(text))
        return text.encode("latin-1")

    def _take(self, count: int) -> None:
        """Counts what is copied: bytes that the memo has can be named again and again."""
        self._room -= count
        if self._room < 0:
            raise UnreadablePickle("it makes more of its text than it has")

    def _marked(self) -> Any:
        items, self.stack = self.stack, self._outer.pop()
        return items

    def _extend(self, items: Any) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise UnreadablePickle(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def _fill(self, items: Any) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise UnreadablePickle(f"it sets items of a {type(target).__name__}")
        # To hash nested tuples, or many numbers that were chosen for it, can take for ever.
        if not all(type(key) is str for key in items[::2]):
            raise UnreadablePickle("it has keys that are no text")
        target.update(zip(items[::2], items[1::2], strict=True))
