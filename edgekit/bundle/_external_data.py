"""Detects ONNX models that keep weights in other files, without importing onnx."""

from __future__ import annotations

from edgekit.files.protobuf import BYTES, fields

__all__ = ["names_other_files"]


_KINDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Fields of each message type of onnx.proto that lead to tensors."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_MOST_FIELDS, _DEEPEST = 1_000_000, 400
"""Limits of a model; the shipped one has 7,000 fields, and runtimes read 100 levels."""


def names_other_files(content: bytes) -> bool:
    """Returns whether any tensor of a model declares that its values are in another file.

    Args:
        content: Content of the model file. If it is not an ONNX model, the result is False,
            because no runtime reads such a file.

    Raises:
        OverflowError: The model has more fields, or nests them deeper, than any network needs.
    """
    waiting = [("model", fields(content, 0, len(content)))]
    left = _MOST_FIELDS
    try:
        while waiting:
            kind, found = waiting[-1]
            for number, wire, first, last in found:
                left -= 1
                if left < 0 or len(waiting) > _DEEPEST:
                    raise OverflowError(
                        f"more than {_MOST_FIELDS} fields, or nested more than {_DEEPEST} deep"
                    )
                if kind == "tensor":
                    if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and first):
                        return True
                elif wire == BYTES and number in _KINDS[kind]:
                    waiting.append((_KINDS[kind][number], fields(content, first, last)))
                    break
            else:
                waiting.pop()
    except (IndexError, ValueError):
        return False
    return False
