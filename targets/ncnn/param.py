"""DEVICE. Reads and writes ncnn's text format ``.param``, which has one layer per line.

ncnn's own reader cuts long words, and trusts the numbers it finds. EdgeKit therefore reads a file
strictly, checks it (``edgekit.targets.ncnn.structure``), and gives ncnn the text that it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["NcnnLayer", "Value", "read_param", "write_param"]

Value: TypeAlias = int | float | tuple[int | float, ...]
"""Value of a parameter; a tuple is an array."""

_MAGIC = "7767517"
_MOST_BYTES = 1 << 20
_MOST_LAYERS = 2000
"""ncnn descends by one call per layer, and the stack of a thread is limited."""
_MOST_WORD = 200
_ARRAY = -23300
_MOST_KEY = 31
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_FLOAT = re.compile(r"-?[0-9]{1,9}\.[0-9]{0,9}(e[+-]?[0-9]{1,2})?|-?[0-9]{1,9}e[+-]?[0-9]{1,2}")
_MOST_NUMBER = 15
"""ncnn reads no more characters of a number."""
_MOST_DECIMALS = 9
"""ncnn reads more decimals wrong."""


@dataclass(frozen=True, slots=True)
class NcnnLayer:
    """A layer of a network.

    Attributes:
        kind: Type in ncnn, such as ``Convolution``.
        name: Name, unique in the network.
        inputs: Names of the blobs that it reads.
        outputs: Names of the blobs that it makes.
        values: Its parameters by ncnn's numbers.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: dict[int, Value]

    def whole(self, key: int, default: int = 0) -> int:
        """Returns a parameter that is an integer.

        Raises:
            ValueError: It is another kind of value.
        """
        value = self.values.get(key, default)
        if not isinstance(value, int):
            raise ValueError(f"expected parameter {key} to be an integer; found {value}")
        return value


def read_param(content: bytes) -> list[NcnnLayer]:
    """Returns the layers in a file, in the order of computation.

    Args:
        content: Content of the ``.param`` file.

    Raises:
        ValueError: The file is not in the format, or is too large; the message names the line.
    """
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has {len(content)} bytes, more than {_MOST_BYTES}")
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError("it is not ASCII text") from error
    if lines[:1] != [_MAGIC]:
        raise ValueError(f"it does not begin with {_MAGIC}")
    counts = lines[1].split() if len(lines) > 1 else []
    if len(lines) - 2 > _MOST_LAYERS:
        raise ValueError(f"it has {len(lines) - 2} layers, more than {_MOST_LAYERS}")
    layers = []
    for number, line in enumerate(lines[2:], 3):
        try:
            layers.append(_layer(line.split()))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    blobs = sum(len(layer.outputs) for layer in layers)
    if counts != [str(len(layers)), str(blobs)]:
        raise ValueError(f"it does not announce {len(layers)} layers and {blobs} blobs in line 2")
    return layers


def write_param(layers: Sequence[NcnnLayer]) -> str:
    """Returns the text of a file; equal layers give equal text."""
    blobs = sum(len(layer.outputs) for layer in layers)
    return "\n".join([_MAGIC, f"{len(layers)} {blobs}", *map(_line, layers), ""])


def _layer(words: list[str]) -> NcnnLayer:
    if len(words) < 4 or any(len(word) > _MOST_WORD for word in words[:2]):
        raise ValueError("it is not a layer")
    kind, name, *counts = words[:4]
    if not all(_INTEGER.fullmatch(count) for count in counts):
        raise ValueError("its numbers of inputs and outputs are not numbers")
    inputs, outputs = map(int, counts)
    end = 4 + inputs + outputs
    if inputs < 0 or outputs < 0 or end > len(words):
        raise ValueError(f"it has fewer than {inputs} inputs and {outputs} outputs")
    blobs = words[4:end]
    if any(len(blob) > _MOST_WORD for blob in blobs):
        raise ValueError("the name of a blob is too long")
    values: dict[int, Value] = {}
    for word in words[end:]:
        key, value = _value(word)
        if key in values:
            raise ValueError(f"it has parameter {key} twice")
        values[key] = value
    return NcnnLayer(kind, name, tuple(blobs[:inputs]), tuple(blobs[inputs:]), values)


def _value(word: str) -> tuple[int, Value]:
    name, _, text = word.partition("=")
    key = int(name) if _INTEGER.fullmatch(name) else -1
    if key <= _ARRAY:
        count, *members = text.split(",")
        if count != str(len(members)):
            raise ValueError(f"the array {word[:40]!r} does not have {count[:10]} members")
        found: Value = tuple(map(_number, members))
        key = _ARRAY - key
    else:
        found = _number(text)
    if not 0 <= key <= _MOST_KEY:
        raise ValueError(f"{word[:40]!r} is not a parameter")
    return key, found


def _number(text: str) -> int | float:
    if len(text) <= _MOST_NUMBER and _INTEGER.fullmatch(text):
        number = int(text)
        if -(2**31) <= number < 2**31:
            return number
    elif len(text) <= _MOST_NUMBER and _FLOAT.fullmatch(text):
        return float(text)
    raise ValueError(f"{text[:40]!r} is not a number")


def _line(layer: NcnnLayer) -> str:
    head = f"{layer.kind:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}"
    values = (_text(key, value) for key, value in sorted(layer.values.items()))
    return " ".join((head, *layer.inputs, *layer.outputs, *values))


def _text(key: int, value: Value) -> str:
    if isinstance(value, tuple):
        return f"{_ARRAY - key}={_joined([len(value), *value])}"
    return f"{key}={_joined([value])}"


def _joined(numbers: Iterable[int | float]) -> str:
    return ",".join(str(n) if isinstance(n, int) else _float(n) for n in numbers)


def _float(number: float) -> str:
    """Returns a float as text that ncnn reads exactly: marked, with at most 9 decimals."""
    text = f"{number:.8g}"
    if len(text.partition(".")[2]) > _MOST_DECIMALS:
        text = f"{number:.7e}"
    return text if set(text) & set(".e") else text + ".0"
