"""Makes mutants: modules with one small fault each, by the operators of Cosmic Ray."""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec

__all__ = ["Mutant", "sample"]


class Mutant(NamedTuple):
    """A module with one fault.

    Attributes:
        module: Path of the module in the repository.
        name: Name of the function or class that holds the fault; empty outside of any.
        before: The lines that differ, as one line.
        after: The lines that replace them, as one line.
        source: The whole source with the fault.
    """

    module: str
    name: str
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """The fault as a line of text, without line numbers, which other changes move."""
        return f"{self.module} | {self.name} | {self.before} | {self.after}"


def sample(root: Path, modules: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """Returns ``count`` random mutants of some modules, or all if there are fewer.

    Args:
        root: Folder of the repository.
        modules: Paths of modules below it.
        count: Number of mutants.
        seed: Seed of the choice. A larger ``count`` with one seed adds mutants to the same sample.
    """
    specs = [item.mutations[0] for item in _all_work_items([root / m for m in modules], {})]
    random.Random(seed).shuffle(specs)
    return sorted(islice(_made(root, specs), count))


def _made(root: Path, specs: Sequence[MutationSpec]) -> Iterator[Mutant]:
    for spec in specs:
        original = spec.module_path.read_text()
        try:
            source = mutate_code(original, get_operator(spec.operator_name)(), spec.occurrence)
            if source is None or _runnable(source) == _runnable(original):
                continue
        except (SyntaxError, AttributeError):  # Cosmic Ray cannot replace ``module.Error``
            continue
        module = spec.module_path.relative_to(root).as_posix()
        yield Mutant(module, spec.definition_name or "", *_difference(original, source), source)


class _Unannotated(ast.NodeTransformer):
    """Removes what never runs: annotations, which are texts here, and imports for them."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)


def _runnable(source: str) -> str:
    return ast.dump(_Unannotated().visit(ast.parse(source)))


def _difference(original: str, source: str) -> tuple[str, str]:
    old, new = original.splitlines(), source.splitlines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            return _one_line(old[a:b]), _one_line(new[c:d])
    raise AssertionError("A mutant equals its module.")


def _one_line(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())
