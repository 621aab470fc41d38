"""Names the objects that a pickle would create, without creating them.

torch's restricted unpickler stops at the first unknown object and does not say where in the file it
is. This module reads the whole pickle with a stand-in for every class and function that it names.
Nothing in it is imported, called or executed.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["foreign_objects"]

_LISTED = 5
_DEEPEST = 8
_MOST_BYTES = 1 << 28
_LEGACY_HEAD = 3
"""Number of pickles before the content in files of torch before 1.6: magic, protocol, sizes."""

_WEIGHTS = (
    "_codecs",
    "torch",
    "torch._tensor",
    "torch._utils",
    "torch.nn.parameter",
    "torch.serialization",
    "torch.storage",
)
"""Modules whose objects torch's restricted unpickler accepts."""

_NAMES = {"scalar": "numpy scalar", "_reconstruct": "numpy array", "_rebuild": "numpy array"}


class _StandIn:
    """Stands for an object; accepts every operation of a pickle, and does nothing."""

    kind = ""
    """Name of the object; empty if it belongs to weights."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def extend(self, items: object) -> None:
        pass

    add = append


class _Ordered(dict[Any, Any]):
    """Stands for an ordered dict, whose items are examined."""

    def __setstate__(self, state: object) -> None:
        pass


# The unpickler in C would allocate any memo size that a file claims.
class _Outline(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("collections", "OrderedDict"):
            return _Ordered
        known = module in _WEIGHTS or (module, name) == ("collections", "Counter")
        return type("StandIn", (_StandIn,), {"kind": "" if known else _kind(module, name)})

    def persistent_load(self, pid: Any) -> Any:
        # The class of a module, with its source, before torch 1.6; otherwise a storage.
        return pid[1] if isinstance(pid, tuple) and pid[:1] == ("module",) else _StandIn()


def foreign_objects(path: Path) -> str:
    """Lists the objects of a torch file that are not weights: ``best: numpy scalar``; may be empty.

    Args:
        path: File that torch's restricted unpickler has refused.
    """
    try:
        found = dict(_foreign(_outline(path), "", set()))
    except Exception:  # a damaged pickle can fail in any way
        return ""
    items = [f"{place}: {kind}" if place else kind for place, kind in found.items()]
    rest = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(items[:_LISTED]) + rest


def _outline(path: Path) -> object:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            if archive.getinfo(name).file_size > _MOST_BYTES:
                return None
            return _Outline(io.BytesIO(archive.read(name))).load()
    with path.open("rb") as file:
        content = _Outline(file).load()
        if isinstance(content, int):  # the magic number
            for _ in range(_LEGACY_HEAD):
                content = _Outline(file).load()
        return content


def _foreign(content: object, place: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    if id(content) in seen or place.count(".") > _DEEPEST:
        return
    seen.add(id(content))
    kind = getattr(content, "kind", "")  # of an object, or of a class used as a value
    if kind:
        yield place, kind
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _foreign(value, f"{place}.{key}" if place else str(key), seen)
    elif isinstance(content, (list, tuple, set, frozenset)):
        for number, value in enumerate(content):
            yield from _foreign(value, f"{place}.{number}" if place else str(number), seen)


def _kind(module: str, name: str) -> str:
    if module.split(".")[0] == "numpy":
        return _NAMES.get(name, f"numpy {name}")
    return f"{module}.{name}"
