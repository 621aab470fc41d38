"""DEVICE. Reads the sizes of weights in an ONNX file without the package onnx."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Weight", "read_weights"]

_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_NODE_INPUT, _NODE_NAME = 1, 3
_DIMS, _TYPE, _TENSOR_NAME = 1, 2, 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Numbers of the fields in onnx.proto, and of the wire types of protocol buffers."""

_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element, by the number of its type in onnx.proto."""


class Weight(NamedTuple):
    """A constant input of a node.

    Attributes:
        shape: Its shape.
        bytes: Its size in bytes.
    """

    shape: tuple[int, ...]
    bytes: int


def read_weights(content: bytes) -> dict[str, list[Weight]]:
    """Returns the constant inputs of each node, in order, by the node's name.

    Args:
        content: ONNX file, which ONNX Runtime has just written.

    Raises:
        ValueError: It is not an ONNX file.
    """
    weights: dict[str, Weight] = {}
    nodes: dict[str, list[str]] = {}
    for field, graph in _fields(memoryview(content)):
        if field != _GRAPH or isinstance(graph, int):
            continue
        for kind, part in _fields(graph):
            if kind == _INITIALIZER and not isinstance(part, int):
                name, weight = _tensor(part)
                weights[name] = weight
            elif kind == _NODE and not isinstance(part, int):
                name, inputs = _node(part)
                nodes[name] = inputs
    return {
        name: [weights[given] for given in inputs if given in weights]
        for name, inputs in nodes.items()
    }


def _node(part: memoryview) -> tuple[str, list[str]]:
    name, inputs = "", []
    for field, value in _fields(part):
        if not isinstance(value, int) and field in (_NODE_INPUT, _NODE_NAME):
            text = bytes(value).decode()
            if field == _NODE_NAME:
                name = text
            else:
                inputs.append(text)
    return name, inputs


def _tensor(part: memoryview) -> tuple[str, Weight]:
    shape: list[int] = []
    name, kind = "", 1
    for field, value in _fields(part):
        if field == _DIMS:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif field == _TYPE and isinstance(value, int):
            kind = value
        elif field == _TENSOR_NAME and not isinstance(value, int):
            name = bytes(value).decode()
    return name, Weight(tuple(shape), math.prod(shape) * _SIZES.get(kind, 1))


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields number and value of each field of a message."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(content, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, place = _varint(content, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(content):
            raise ValueError("it ends within a field")
        yield tag >> 3, content[place : place + length]
        place += length


def _varints(content: memoryview) -> list[int]:
    place, found = 0, []
    while place < len(content):
        value, place = _varint(content, place)
        found.append(value)
    return found


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content):
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("it ends within a number")
