"""Shortens the names of a TFLite file's layers so that they fit into a table.

The converter names a tensor by the PyTorch modules that it comes from, each with its whole path and
its classes. Such names have 100 to 700 characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["short_names"]

_MODULE = re.compile(r"(?:\w+\.)*_*(?P<kind>[A-Za-z0-9]+)_(?P<name>\w+)")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Returns for each name the path of the module with weights in it, such as ``hm.0``.

    Args:
        names: Names of tensors as litert-torch writes them. Other names are kept unchanged, as are
            those whose short names would be equal.
    """
    paths = {name: _path(name) for name in names}
    known = [path for path in paths.values() if path]
    shared = 0
    while (
        known
        and all(len(path) > shared + 1 for path in known)
        and (len({path[shared] for path in known}) == 1)
    ):
        shared += 1
    found = {name: _joined(path[shared:]) if path else name for name, path in paths.items()}
    often = Counter(found.values())
    return {name: short if often[short] == 1 else name for name, short in found.items()}


def _path(name: str) -> list[tuple[str, str]]:
    """Returns class and name of each module down to the first convolution in ``name``."""
    modules = [
        [(match["kind"], match["name"]) for match in map(_MODULE.match, part.split("/")) if match]
        for part in re.sub(r";\d*$", "", name).split(";;")
    ]
    weighted = (path for path in modules if path and re.search("Conv|Linear", path[-1][0]))
    return next(weighted, max(modules, key=len))


def _joined(path: Sequence[tuple[str, str]]) -> str:
    (kind, first), *others = path
    # Members of a list are named by number, and the path does not contain the list itself.
    parts = [f"{kind}_{first}" if first.isdigit() else first, *(name for _, name in others)]
    return ".".join(parts)
