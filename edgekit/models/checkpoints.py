"""From a file of weights to a network that runs, and back.

The network is read from the keys and shapes of the weights themselves. It is built without
memory and takes the file's own tensors, so what a file claims costs nothing until it is proven.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.bundle import sha256_of
from edgekit.errors import CheckpointError
from edgekit.models.registry import ARCHITECTURES, NetworkSpec, architecture, build, identify
from edgekit.models.state_dicts import find_weights
from edgekit.models.weight_files import read_weights, write_safetensors

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_LOG = logging.getLogger(__name__)
_LISTED = 10
_OWN_STATE = frozenset(("network", "average", "optimizer", "schedule", "settings"))
"""Names in what ``edgekit train`` goes on from."""
_COUNTER = "num_batches_tracked"
_SAVE_AGAIN = "Save the checkpoint again from the network that was trained."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network with the weights of a file.

    Attributes:
        network: In evaluation mode, float32, on the CPU.
        spec: What the network is.
        sha256: Of the file, in hexadecimal.
        epoch: The epoch stored with the weights, where there is one.
        metadata: The strings stored with them (class names, input size, ... as JSON, written by
            ``edgekit train``); empty for a .pth.
    """

    network: nn.Module
    spec: NetworkSpec
    sha256: str
    epoch: int | None
    metadata: dict[str, str]


def load_checkpoint(
    path: str | Path, *, arch: str = "auto", classes: int | None = None
) -> Checkpoint:
    """Loads a CenterNet or KORSAL checkpoint; nothing in the file is executed.

    Args:
        path: What ``torch.save`` wrote, or a .safetensors; ``find_weights`` says where in it the
            weights are found. Where there are several networks, a warning tells which was taken.
        arch: A name of ``ARCHITECTURES`` that the checkpoint has to be, or ``auto``.
        classes: How many classes it has to have; None for any.

    Raises:
        CheckpointError: The file cannot be read or trusted, is of another network, or its keys,
            shapes, types or values do not fit; all keys that do not fit are in the message.
        UsageError: No architecture has that name.
    """
    if arch != "auto":
        architecture(arch)
    path = Path(path)
    file = read_weights(path)
    state = _state(path, file.entries)
    spec = _spec(path, state, arch)
    if classes is not None and classes != spec.classes:
        raise CheckpointError(
            f"Expected {classes} classes; the heatmap of {path} has {spec.classes}.",
            mend="Name the classes that the checkpoint was trained on with --classes.",
        )
    with torch.device("meta"):
        network = build(
            spec.arch, classes=spec.classes, channels=spec.channels, head_conv=spec.head_conv
        )
    expected = network.state_dict()
    _check_fit(path, spec.arch, expected, state, shapes=True)
    fitting = {name: _value(path, name, tensor, state) for name, tensor in expected.items()}
    network.load_state_dict(fitting, assign=True)
    return Checkpoint(network.eval(), spec, sha256_of(path), file.epoch, file.metadata)


def save_checkpoint(
    path: str | Path, network: nn.Module, metadata: Mapping[str, str], *, half: bool = False
) -> None:
    """Writes the weights of a network as .safetensors; the same bytes for the same weights.

    Args:
        path: Replaced if it is there.
        network: One of ``ARCHITECTURES``.
        metadata: Strings that ``load_checkpoint`` gives back; an ``epoch`` in decimal digits
            comes back as its ``epoch`` too.
        half: Convolution weights as float16, for half the size; biases and norms stay float32.

    Raises:
        CheckpointError: A weight is not finite, or too large for float16.
        OutputError: The file cannot be written.
    """
    state = {}
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16 if half and tensor.dim() > 1 else torch.float32)
            if not tensor.isfinite().all():
                raise CheckpointError(
                    f"Expected finite weights to save; {name} has others as {tensor.dtype}.",
                    mend="Save as float32." if half else "Train with a smaller learning rate.",
                )
        state[name] = tensor
    write_safetensors(Path(path), state, metadata)


def _state(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The state dict of the network; what else there was to take is said."""
    if content.keys() >= _OWN_STATE:
        raise CheckpointError(
            f"{path} is the state of an edgekit train that goes on with --resume; the weights are "
            "in a file of their own.",
            mend=f"Give {path.with_name('weights.safetensors')}",
        )
    try:
        found = find_weights(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", mend=error.mend) from error
    if found.others:
        _LOG.warning(
            "%s holds several networks. Taken: %s. Not taken: %s.",
            path,
            found.place,
            _listed(found.others),
        )
    if found.left_out:
        _LOG.warning(
            "%s: these are no weights of the network and were left out: %s.",
            path,
            _listed(found.left_out),
        )
    if found.place:
        _LOG.info("%s: the weights are under %s", path, found.place)
    return found.state


def _spec(path: Path, state: Mapping[str, Tensor], arch: str) -> NetworkSpec:
    try:
        spec = identify(state)
    except CheckpointError as error:
        nearest = arch if arch != "auto" else _nearest(state)
        if nearest:
            _check_fit(path, nearest, _skeleton(nearest, state), state, shapes=False)
        raise CheckpointError(f"{path}: {error.message}", mend=error.mend) from error
    if arch not in ("auto", spec.arch):
        raise CheckpointError(
            f"Expected a checkpoint of {arch}; {path} is one of {spec.arch}.",
            mend=f"Use --arch {spec.arch}, or leave --arch out.",
        )
    return spec


def _skeleton(arch: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The keys that ``state`` would have, were it of that architecture."""
    head_conv = ARCHITECTURES[arch].narrowest if "hm.weight" in state else None
    with torch.device("meta"):
        return build(arch, classes=1, head_conv=head_conv).state_dict()


def _nearest(state: Mapping[str, Tensor]) -> str | None:
    """The architecture that shares most keys with ``state``, if that is more than half."""

    def likeness(arch: str) -> float:
        keys = set(_skeleton(arch, state))
        return len(keys & state.keys()) / len(keys | state.keys())

    best = max(ARCHITECTURES, key=likeness)
    return best if likeness(best) > 0.5 else None


def _check_fit(
    path: Path,
    arch: str,
    expected: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    *,
    shapes: bool,
) -> None:
    unused = ARCHITECTURES[arch].unused
    problems = {
        "missing": [k for k in expected if k not in state and not k.endswith(_COUNTER)],
        "unexpected": [k for k in state if k not in expected and not k.startswith(unused)],
        "of the wrong shape": [
            f"{k} (expected {list(v.shape)}, found {list(state[k].shape)})"
            for k, v in expected.items()
            if shapes and k in state and v.shape != state[k].shape
        ],
    }
    lines = [f"  {len(keys)} {what}: {_listed(keys)}" for what, keys in problems.items() if keys]
    if lines:
        raise CheckpointError(
            "\n".join([f"Expected the weights of {arch}; keys of {path} do not fit:", *lines]),
            mend="Give the checkpoint as training saved it; heads other than hm, wh and reg are "
            "not supported.",
        )


def _value(path: Path, name: str, expected: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    """The tensor of that name as float32 (a counter as int64), proven to be sound."""
    if name not in state:
        return torch.zeros(expected.shape, dtype=expected.dtype)
    tensor = state[name].detach()
    found = ""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        found = "a sparse, quantized or absent one"
    elif tensor.untyped_storage().nbytes() < math.prod(tensor.shape) * tensor.element_size():
        found = "fewer values than its shape has"
    elif not tensor.is_floating_point() and expected.is_floating_point():
        found = f"type {str(tensor.dtype).removeprefix('torch.')}"
    else:
        tensor = tensor.to(expected.dtype).contiguous()
        if not tensor.isfinite().all():
            found = "NaN or infinite values"
        elif name.endswith("running_var") and bool((tensor < 0).any()):
            found = "negative variances"
    if found:
        raise CheckpointError(
            f"Expected {name} in {path} to be a plain tensor of finite numbers; found {found}.",
            mend=_SAVE_AGAIN,
        )
    return tensor


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    rest = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(items[:_LISTED]) + rest
