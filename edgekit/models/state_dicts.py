"""Finds the weights of a network in the file that a framework saved.

Frameworks save a state dict bare, or under a name among other entries. They also wrap the network
in other modules, whose names are put before every key. The search therefore tries every place below
which the keys are those of a known network; dict names and dotted key parts both count. If there
are several such places, ``_PREFERRED`` decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from edgekit.errors import CheckpointError
from edgekit.models.registry import recognize

__all__ = ["Weights", "find_weights"]

_AVERAGED = re.compile(r"(^|_)(ema|swa|avg|averaged?|shadow)(_|$)")
_PREFERRED = ("state_dict", "model_state_dict", "model")
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Key parts that torch.compile, FSDP and checkpointing insert anywhere in a key."""
_COUNTER = "n_averaged"
_SWAPPED = "steps"
"""Counter of mmengine beside its averages, which it swaps with the weights of the network."""
_DEEPEST = 8
_LISTED = 10

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """The state dict of a network, and its place in the file.

    Attributes:
        state: Tensors by the network's own keys.
        place: Names before the keys, joined by dots; empty for a bare state dict.
        others: Places of other networks in the file, which were not taken.
        left_out: Names of the tensors that belong to no network.
        completed: Place of the tensors that an average lacks; None if it lacks none.
    """

    state: dict[str, Tensor]
    place: str
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    completed: str | None = None


def find_weights(content: Mapping[object, object]) -> Weights:
    """Returns the weights found in the content of a file.

    Averaged weights (a place named ``ema``, ``ema_state_dict``, ``averaged``, ...) come first, as
    in the frameworks that save them; what they lack, such as statistics of batch norms, comes from
    the network itself. Then come ``state_dict``, ``model_state_dict`` and ``model``,
    then any other place, in the order of the file. mmengine swaps the averages with the weights of
    the network, so what it calls averages comes last. If no network is found, the state dict that
    comes first by this order is returned, without the names that precede all its keys.

    Args:
        content: Content of the file: a state dict, or nested dicts that contain one.

    Raises:
        CheckpointError: There is no state dict, one of its values is not a tensor, or a weight
            occurs twice. The message does not name the file.
    """
    found = list(_dicts(content, (), set()))
    copies = {place: _copies(entries) for place, entries in found}
    dicts = [(place, _parts(place, entries, copies[place])) for place, entries in found]
    swapped = [place for place, parts in dicts if not _rank(place) and (_SWAPPED,) in parts]
    for place, parts in dicts:
        if place in swapped:
            del parts[(_SWAPPED,)]
    if not dicts:
        raise _no_tensors(f"{key!r} is a {type(value).__name__}" for key, value in content.items())
    nodes = [node for place, parts in dicts for node in _networks(place, parts)]
    nodes = nodes or [_bare(*min(dicts, key=lambda found: (_rank(found[0]), -len(found[1]))))]
    first, *others = sorted(
        nodes, key=lambda node: (any(_begins(node, place) for place in swapped), _rank(node.place))
    )
    taken, whole = first.tensors(), None
    if _rank(first.place) == 0:  # an average may hold only what the optimizer trains
        whole = next((node for node in others if node.entries.keys() > taken.keys()), None)
    known = tuple(f"{'.'.join(node.place)}." for node in others)
    return Weights(
        {**whole.tensors(), **taken} if whole else taken,
        ".".join(first.place),
        tuple(".".join(node.place) for node in others),
        (
            *(key for key in first.beside if not key.startswith(known)),
            *(key for place in copies if _begins(first, place) for key in sorted(copies[place])),
        ),
        ".".join(whole.place) if whole else None,
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """A place, the entries below it, and the full names of the tensors beside it."""

    place: Place
    entries: Mapping[str, Any]
    beside: tuple[str, ...] = ()

    def tensors(self) -> dict[str, Tensor]:
        wrong = [
            f"{'.'.join((*self.place, key))!r} is a {type(value).__name__}"
            for key, value in self.entries.items()
            if not isinstance(value, Tensor)
        ]
        if wrong or not self.entries:
            raise _no_tensors(wrong)
        return dict(self.entries)


def _dicts(
    content: object, place: Place, seen: set[int]
) -> Iterator[tuple[Place, dict[object, object]]]:
    """Yields every dict that contains tensors, at any depth."""
    if not isinstance(content, Mapping) or id(content) in seen or len(place) > _DEEPEST:
        return
    seen.add(id(content))
    entries = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    if any(isinstance(value, Tensor) for value in entries.values()):
        yield place, entries
    for key, value in content.items():
        yield from _dicts(value, (*place, str(key)), seen)


def _begins(node: _Node, place: Place) -> bool:
    return node.place[: len(place)] == place


def _copies(entries: Mapping[object, object]) -> set[str]:
    """Returns the keys of weights that mmcv keeps beside those of the network, as its buffers."""
    flat = {f"ema_{str(key).replace('.', '_')}" for key in entries}
    return {key for key in map(str, entries) if key in flat}


def _parts(
    place: Place, entries: Mapping[object, object], copies: Collection[str]
) -> dict[Place, Any]:
    """Returns the entries by the parts of their keys, without the parts that wrappers added."""
    found: dict[Place, Any] = {}
    for key, value in entries.items():
        if key in copies:
            continue
        parts = tuple(part for part in str(key).split(".") if part not in _WRAPPERS)
        while len(parts) > 1 and parts[0] == "module":  # DataParallel may wrap only some layers
            parts = parts[1:]
        if parts[-1:] == (_COUNTER,):
            continue
        if parts in found:
            raise CheckpointError(
                f"The weight {'.'.join((*place, *parts))} occurs twice in the checkpoint, once "
                f"with a wrapper's prefix and once without: {key}.",
                hint="Save the checkpoint again from the network that was trained.",
            )
        found[parts] = value
    return found


def _networks(place: Place, parts: Mapping[Place, Any]) -> Iterator[_Node]:
    """Yields the places, at or below one place, whose keys are those of a network."""
    named = {".".join(key): value for key, value in parts.items()}
    if recognize(named):
        yield _Node(place, named)
    elif len(place) <= _DEEPEST:
        for first, group in _groups(parts).items():
            for node in _networks((*place, first), group):
                yield replace(node, beside=(*node.beside, *_beside(place, named, first)))


def _beside(place: Place, named: Mapping[str, Any], first: str) -> Iterator[str]:
    for key, value in named.items():
        # A single number is a counter, or the decay of a moving average.
        if not key.startswith(f"{first}.") and isinstance(value, Tensor) and value.numel() > 1:
            yield ".".join((*place, key))


def _groups(parts: Mapping[Place, Any]) -> dict[str, dict[Place, Any]]:
    groups: dict[str, dict[Place, Any]] = {}
    for (first, *rest), value in parts.items():
        if rest:
            groups.setdefault(first, {})[tuple(rest)] = value
    return groups


def _bare(place: Place, parts: dict[Place, Any]) -> _Node:
    """Returns a dict of tensors without the names that precede all its keys."""
    while len(place) <= _DEEPEST and all(len(key) > 1 for key in parts):
        groups = _groups(parts)
        if len(groups) != 1:
            break
        ((first, parts),) = groups.items()
        place = (*place, first)
    return _Node(place, {".".join(key): value for key, value in parts.items()})


def _rank(place: Place) -> int:
    if any(_AVERAGED.search(part) for part in place):
        return 0
    known = [_PREFERRED.index(part) for part in place if part in _PREFERRED]
    return 1 + min(known, default=len(_PREFERRED))


def _no_tensors(found: Iterable[str]) -> CheckpointError:
    found = list(found)
    rest = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return CheckpointError(
        "Expected a checkpoint with named tensors; found "
        f"{', '.join(found[:_LISTED]) + rest or 'none'}.",
        hint="Give the checkpoint of a CenterNet or KORSAL detector.",
    )
