"""Tests the sizes of modules, functions, classes and folders.

A function or class over a limit has the reason in a comment directly above it, or above its
decorators. The comment begins with the words of the limit::

    # Long: the four steps share eleven local arrays, and ...
    # Many attributes: one for each column of the file, ...
"""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from edgekit.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ("edgekit", "targets", "calibration", "quantization", "benchmarks", "release")
MEDIAN_LINES = 130
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
MOST_ATTRIBUTES = 10
MOST_MODULES = 15

Function = ast.FunctionDef | ast.AsyncFunctionDef

OF_ANY_TYPE = {
    "edgekit/cli/output/console.py print": "it overrides rich's method and has its parameters",
    "quantization/onnx/weights.py attributes": "ONNX gives an attribute any of nine types",
    "targets/jetson/cuda.py call": "each function of CUDA returns its own types",
}
"""Public functions with ``Any`` in their signature, and why."""


@cache
def modules() -> dict[Path, list[str]]:
    """Lines of each module, by its path; a linked folder counts where its files are."""
    found = {}
    for room in HOUSE:
        for path in sorted((ROOT / room).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if not any((ROOT / folder).is_symlink() for folder in inside.parents):
                found[inside] = path.read_text().splitlines()
    return found


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse("\n".join(lines)) for path, lines in modules().items()}


@pytest.fixture(scope="module", autouse=True)
def no_trees_for_other_tests() -> Iterator[None]:
    """Forgets the trees: the collector of cycles would look at each of their objects."""
    yield
    trees.cache_clear()


def definitions(*kinds: type) -> Iterator[tuple[Path, list[str], ast.AST]]:
    for path, lines in modules().items():
        for node in ast.walk(trees()[path]):
            if isinstance(node, kinds):
                yield path, lines, node


def has_reason(lines: list[str], node: Function | ast.ClassDef, prefix: str) -> bool:
    """Whether the comment that ends directly above ``node`` begins with ``prefix`` and goes on."""
    above = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    comment: list[str] = []
    while above > 0 and lines[above - 1].strip().startswith("#"):
        above -= 1
        comment.insert(0, lines[above].strip().removeprefix("#").strip())
    return any(
        line.startswith(prefix) and len(" ".join(comment[number:]).split()) > 4
        for number, line in enumerate(comment)
    )


def attributes(node: ast.ClassDef) -> set[str]:
    """Names of a class's fields, and of what its methods assign to ``self``."""
    names = {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and "ClassVar" not in ast.unparse(item.annotation)
    }
    for method in node.body:
        if isinstance(method, Function):
            names |= {
                item.attr
                for item in ast.walk(method)
                if isinstance(item, ast.Attribute)
                and isinstance(item.ctx, ast.Store)
                and isinstance(item.value, ast.Name)
                and item.value.id == "self"
            }
    return names


def is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def public_annotations(body: list[ast.stmt]) -> Iterator[tuple[str, int, ast.expr]]:
    """Yields name, line and annotation of each part of the public functions, methods and fields."""
    for node in body:
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            yield from public_annotations(node.body)
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and is_public(ast.unparse(item.target)):
                    yield ast.unparse(item.target), item.lineno, item.annotation
        elif isinstance(node, Function) and is_public(node.name):
            given = node.args
            several = [given.vararg, given.kwarg]
            for part in (*given.posonlyargs, *given.args, *given.kwonlyargs, *several):
                if part is not None and part.annotation is not None:
                    yield node.name, node.lineno, part.annotation
            if node.returns is not None:
                yield node.name, node.lineno, node.returns


def test_no_public_signature_has_any():
    found = {}
    for path in modules():
        if "suites" in path.parts or not all(map(is_public, path.with_suffix("").parts)):
            continue
        for name, line, annotation in public_annotations(trees()[path].body):
            parts = [part for part in ast.walk(annotation) if isinstance(part, ast.Name)]
            if any(part.id == "Any" for part in parts):
                found[f"{path} {name}"] = line
    assert found.keys() == OF_ANY_TYPE.keys()


def test_half_of_the_modules_are_short():
    assert statistics.median(len(lines) for lines in modules().values()) <= MEDIAN_LINES


def test_no_module_is_long():
    long = {str(path): len(lines) for path, lines in modules().items() if len(lines) > MOST_LINES}
    assert not long


def test_no_function_is_long_without_a_reason():
    long = {}
    for path, lines, node in definitions(ast.FunctionDef, ast.AsyncFunctionDef):
        count = node.end_lineno - node.lineno + 1
        if count > MOST_LINES_OF_A_FUNCTION and not has_reason(lines, node, "Long: "):
            long[f"{path}:{node.lineno} {node.name}"] = count
    assert not long


def test_no_class_has_many_attributes_without_a_reason():
    many = {}
    for path, lines, node in definitions(ast.ClassDef):
        count = len(attributes(node))
        if count > MOST_ATTRIBUTES and not has_reason(lines, node, "Many attributes: "):
            many[f"{path}:{node.lineno} {node.name}"] = count
    assert not many


def test_no_folder_has_many_modules():
    folders = Counter(str(path.parent) for path in modules())
    commands = folders.pop("edgekit/cli")
    assert commands == len(COMMANDS) + 1  # one module each, and the package itself
    assert not {folder: count for folder, count in folders.items() if count > MOST_MODULES}


def test_no_two_classes_share_a_name() -> None:
    names = Counter(node.name for _, _, node in definitions(ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
