"""Detects ONNX models that keep weights in other files, without importing onnx."""

from __future__ import annotations

from edgekit.files.protobuf import BYTES, fields

__all__ = ["names_other_files"]


_KINDS: dict[str, tuple[tuple[int, str], ...]] = {
    "model": ((7, "graph"), (20, "training"), (25, "function")),
    "training": ((1, "graph"), (2, "graph")),
    "function": ((7, "node"), (11, "attribute")),
    "graph": ((1, "node"), (5, "tensor"), (15, "sparse")),
    "node": ((5, "attribute"),),
    "attribute": (
        (5, "tensor"),
        (6, "graph"),
        (10, "tensor"),
        (11, "graph"),
        (22, "sparse"),
        (23, "sparse"),
    ),
    "sparse": ((1, "tensor"), (2, "tensor")),
    "tensor": (),
}
"""For each message type of onnx.proto, the fields that lead to tensors."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def names_other_files(content: bytes) -> bool:
    """Returns whether any tensor of a model declares that its values are in another file.

    Args:
        content: Content of the model file. If it is not an ONNX model, the result is False,
            because no runtime reads such a file.
    """
    waiting = [("model", 0, len(content))]
    try:
        while waiting:
            kind, begin, end = waiting.pop()
            inner = dict(_KINDS[kind])
            for number, wire, first, last in fields(content, begin, end):
                if kind == "tensor":
                    if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and first):
                        return True
                elif wire == BYTES and number in inner:
                    waiting.append((inner[number], first, last))
    except (IndexError, ValueError):
        return False
    return False
