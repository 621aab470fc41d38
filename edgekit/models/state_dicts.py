"""Where the weights of a network are in what a framework saved.

Frameworks save a state dict bare, or under a name beside other things, and wrap the network in
others, whose names stand before every key. So the content of a file is looked through for each
place below which the keys are those of a known network: names of dicts and dotted parts of keys
count alike. Where there are several such places, one is taken by the order of ``_PREFERRED``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from edgekit.errors import CheckpointError
from edgekit.models.registry import recognize

__all__ = ["Weights", "find_weights"]

_AVERAGED = re.compile(r"(^|_)(ema|swa|avg|averaged?|shadow)(_|$)")
_PREFERRED = ("state_dict", "model_state_dict", "model")
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts that torch.compile, FSDP and checkpointing put anywhere into a key."""
_COUNTER = "n_averaged"
_DEEPEST = 8
_LISTED = 10

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """The state dict of a network, and where it was.

    Attributes:
        state: Tensors by the network's own keys.
        place: The names before it, joined by dots; empty where it lay bare.
        others: The places of other networks in the file, which were not taken.
        left_out: Names of the tensors beside the network, which belong to no network.
    """

    state: dict[str, Tensor]
    place: str
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def find_weights(content: Mapping[Any, Any]) -> Weights:
    """The weights in the content of a file.

    Averaged weights (a place named ``ema``, ``ema_state_dict``, ``averaged``, ...) go first, as in
    the frameworks that save them; then ``state_dict``, ``model_state_dict`` and ``model``; then any
    other place, in the order of the file. Where no network is found, the result is the state dict
    by the same order, without the names that stand before all its keys.

    Args:
        content: What the file holds: a state dict, or dicts of dicts that have one.

    Raises:
        CheckpointError: Nothing in it is a state dict, one of its values is no tensor, or it has a
            weight twice. The message does not name the file.
    """
    dicts = [(place, _parts(place, entries)) for place, entries in _dicts(content, (), set())]
    if not dicts:
        raise _no_tensors(f"{key!r} is a {type(value).__name__}" for key, value in content.items())
    nodes = [node for place, parts in dicts for node in _networks(place, parts)]
    nodes = nodes or [_bare(*min(dicts, key=lambda found: (_rank(found[0]), -len(found[1]))))]
    first, *others = sorted(nodes, key=lambda node: _rank(node.place))
    known = tuple(f"{'.'.join(node.place)}." for node in others)
    return Weights(
        first.tensors(),
        ".".join(first.place),
        tuple(".".join(node.place) for node in others),
        tuple(key for key in first.beside if not key.startswith(known)),
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """A place, what is below it, and the full names of the tensors beside it."""

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


def _dicts(content: object, place: Place, seen: set[int]) -> Iterator[tuple[Place, dict[Any, Any]]]:
    """Every dict that has tensors, at any depth."""
    if not isinstance(content, Mapping) or id(content) in seen or len(place) > _DEEPEST:
        return
    seen.add(id(content))
    entries = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    if any(isinstance(value, Tensor) for value in entries.values()):
        yield place, entries
    for key, value in content.items():
        yield from _dicts(value, (*place, str(key)), seen)


def _parts(place: Place, entries: Mapping[Any, Any]) -> dict[Place, Any]:
    """The entries by the parts of their keys, without what wrappers put before or between them."""
    found: dict[Place, Any] = {}
    for key, value in entries.items():
        parts = tuple(part for part in str(key).split(".") if part not in _WRAPPERS)
        while len(parts) > 1 and parts[0] == "module":  # DataParallel, also around some keys alone
            parts = parts[1:]
        if parts[-1:] == (_COUNTER,):
            continue
        if parts in found:
            raise CheckpointError(
                f"Expected each weight once; found {'.'.join((*place, *parts))} twice, with and "
                f"without what a wrapper puts before it: {key}.",
                mend="Save the checkpoint again from the network that was trained.",
            )
        found[parts] = value
    return found


def _networks(place: Place, parts: Mapping[Place, Any]) -> Iterator[_Node]:
    """The places at or below one that have the keys of a network."""
    named = {".".join(key): value for key, value in parts.items()}
    if recognize(named):
        yield _Node(place, named)
    elif len(place) <= _DEEPEST:
        for first, group in _groups(parts).items():
            for node in _networks((*place, first), group):
                yield replace(node, beside=(*node.beside, *_beside(place, named, first)))


def _beside(place: Place, named: Mapping[str, Any], first: str) -> Iterator[str]:
    for key, value in named.items():
        # A number alone is a counter, or the decay of an average.
        if not key.startswith(f"{first}.") and isinstance(value, Tensor) and value.numel() > 1:
            yield ".".join((*place, key))


def _groups(parts: Mapping[Place, Any]) -> dict[str, dict[Place, Any]]:
    groups: dict[str, dict[Place, Any]] = {}
    for (first, *rest), value in parts.items():
        if rest:
            groups.setdefault(first, {})[tuple(rest)] = value
    return groups


def _bare(place: Place, parts: dict[Place, Any]) -> _Node:
    """A dict of tensors without the names that stand before all its keys."""
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
        f"Expected tensors by name; found {', '.join(found[:_LISTED]) + rest or 'none'}.",
        mend="Give the checkpoint of a CenterNet or KORSAL detector.",
    )
