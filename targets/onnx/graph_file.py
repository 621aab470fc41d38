"""DEVICE. Reads the sizes of weights in an ONNX file without the package onnx."""

from __future__ import annotations

import math
from typing import NamedTuple

from edgekit.files.protobuf import BYTES, VARINT, fields, varints

__all__ = ["Weight", "read_weights"]

_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_NODE_INPUT, _NODE_NAME = 1, 3
_DIMS, _TYPE, _TENSOR_NAME = 1, 2, 8
"""Numbers of the fields in onnx.proto."""

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
    try:
        for field, wire, first, last in fields(content, 0, len(content)):
            if field != _GRAPH or wire != BYTES:
                continue
            for kind, part, begin, end in fields(content, first, last):
                if kind == _INITIALIZER and part == BYTES:
                    name, weight = _tensor(content, begin, end)
                    weights[name] = weight
                elif kind == _NODE and part == BYTES:
                    name, inputs = _node(content, begin, end)
                    nodes[name] = inputs
    except IndexError as error:
        raise ValueError("it ends within a number") from error
    return {
        name: [weights[given] for given in inputs if given in weights]
        for name, inputs in nodes.items()
    }


def _node(content: bytes, begin: int, end: int) -> tuple[str, list[str]]:
    name, inputs = "", []
    for field, wire, first, last in fields(content, begin, end):
        if wire == BYTES and field in (_NODE_INPUT, _NODE_NAME):
            text = content[first:last].decode()
            if field == _NODE_NAME:
                name = text
            else:
                inputs.append(text)
    return name, inputs


def _tensor(content: bytes, begin: int, end: int) -> tuple[str, Weight]:
    shape: list[int] = []
    name, kind = "", 1
    for field, wire, first, last in fields(content, begin, end):
        if field == _DIMS:
            shape += [first] if wire == VARINT else varints(content, first, last)
        elif field == _TYPE and wire == VARINT:
            kind = first
        elif field == _TENSOR_NAME and wire == BYTES:
            name = content[first:last].decode()
    return name, Weight(tuple(shape), math.prod(shape) * _SIZES.get(kind, 1))
