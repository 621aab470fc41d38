"""HOST. Checks on any machine whether TensorRT accepts an ONNX model.

TensorRT is not needed: the model is compared with the published tables of its parser
(``operators``, ``rules``). Every finding would fail on the device. A model without findings must
still be built there.

    python -m edgekit.targets.jetson.checker model.onnx
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgekit.errors import EdgeKitError
from edgekit.targets.jetson.graph import FlatGraph
from edgekit.targets.jetson.operators import OPERATORS, OPSETS, TENSORS
from edgekit.targets.jetson.rules import RULES

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["Finding", "check"]

_DATA = {"Where": 1, "OneHot": 2}
"""Index of the input that determines an operator's type, if it is not the first."""


class Finding(NamedTuple):
    """Something that TensorRT does not accept.

    Attributes:
        node: Name of the node or of the network's input; empty for the model as a whole.
        operator: Operator of the node; empty if there is no node.
        reason: Reason why TensorRT does not accept it.
    """

    node: str
    operator: str
    reason: str

    def __str__(self) -> str:
        """Returns the finding as one line."""
        where = f"{self.node} ({self.operator})" if self.operator else self.node
        return f"{where}: {self.reason}" if where else self.reason


def check(path: Path) -> list[Finding]:
    """Returns what TensorRT 10.3 and later would refuse in an ONNX model, in node order.

    Args:
        path: ONNX file with its weights inside.

    Returns:
        An empty list if everything is accepted.

    Raises:
        MissingDependencyError: onnx is not installed.
        BundleError: The file does not exist, or is not an ONNX model.
    """
    graph = FlatGraph(path)
    findings = list(_check_model(graph))
    for node in graph.nodes:
        name = node.name or ", ".join(node.output)
        findings += [Finding(name, node.op_type, reason) for reason in _check_node(graph, node)]
    return findings


def _check_model(graph: FlatGraph) -> Iterator[Finding]:
    if graph.opset and graph.opset not in OPSETS:
        yield Finding(
            "",
            "",
            f"The model is of opset {graph.opset}; TensorRT 10.3 (JetPack 6.1) takes "
            f"{OPSETS.start} to {OPSETS.stop - 1}",
        )
    for name, shape in graph.inputs.items():
        if None in shape:
            yield Finding(name, "", "a side of this input is not fixed")
        if graph.type(name) not in TENSORS | {"UINT8"}:
            yield Finding(name, "", f"{graph.type(name)} is not a type of an input")


def _check_node(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    if node.domain not in ("", "ai.onnx"):
        yield f"the operator is of {node.domain}, not of ONNX"
        return
    if node.op_type not in OPERATORS:
        yield "TensorRT has no such operator"
        return
    yield from _check_types(graph, node)
    if node.op_type in RULES:
        try:
            yield from RULES[node.op_type](graph, node)
        except IndexError:
            yield "an input is missing"


def _check_types(graph: FlatGraph, node: NodeProto) -> Iterator[str]:
    allowed = OPERATORS[node.op_type]
    index = _DATA.get(node.op_type, 0)
    # The tensor whose type counts; operators without such an input have only an output.
    source = node.output[0] if node.op_type in ("Constant", "ConstantOfShape") else ""
    if not source and len(node.input) > index:
        source = node.input[index]
    found = graph.type(source)
    if found is not None and found not in allowed:
        listed = ", ".join(allowed)
        hint = "; keep the bias in floating point" if found == "INT32" and "INT8" in allowed else ""
        yield f"it takes {listed}, not {found}{hint}"
    elif found == "UINT8" and source not in graph.inputs:
        yield "UINT8 comes into a network and goes out of it, and is nowhere between"
    for name in node.output:
        made = graph.type(name)
        leaves = made == "UINT8" and node.op_type == "Cast" and name in graph.outputs
        if made is not None and made not in TENSORS and not leaves:
            yield f"it gives {made}, which TensorRT does not compute with"


def _main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        wants_help = arguments[:1] in (["-h"], ["--help"])
        usage = "Usage: python -m edgekit.targets.jetson.checker model.onnx"
        print(usage, file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    try:
        findings = check(Path(arguments[0]))
    except EdgeKitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    for finding in findings:
        print(finding)
    print(
        f"Not accepted: {len(findings)}." if findings else "TensorRT takes it, by its own tables."
    )
    return 3 if findings else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
