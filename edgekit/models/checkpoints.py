"""Loads networks from files of weights, and saves them.

The network is identified by the keys and shapes of the weights. It is built without allocating
memory and takes over the file's tensors, so false sizes in a file cost nothing before they are
checked.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekit._parameters import parameter
from edgekit.errors import CheckpointError
from edgekit.files.checksums import sha256_of
from edgekit.models.registry import ARCHITECTURES, NetworkSpec, architecture, build, identify
from edgekit.models.state_dicts import find_weights
from edgekit.models.weight_files import read_weights, write_safetensors

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_LOG = logging.getLogger(__name__)
_LISTED = 10
_OWN_STATE = frozenset(("network", "average", "optimizer", "schedule", "settings"))
"""Keys that identify the state of ``edgekit train``, which is not a checkpoint."""
_COUNTER = "num_batches_tracked"
_SAVE_AGAIN = "Save the checkpoint again from the network that was trained."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network with the weights of a file.

    Attributes:
        network: Network in evaluation mode, float32, on the CPU.
        spec: Architecture and sizes of the network.
        sha256: SHA-256 of the file, in hexadecimal.
        epoch: Epoch stored with the weights; None if there is none.
        metadata: Strings stored with the weights (class names, input size, ... as JSON, written by
            ``edgekit train``); empty for a .pth.
    """

    network: nn.Module
    spec: NetworkSpec
    sha256: str
    epoch: int | None
    metadata: dict[str, str]

    def stored(self, name: str) -> object:
        """Returns a value of the metadata; None if it is missing or not JSON."""
        try:
            value: object = json.loads(self.metadata[name])
        except (KeyError, ValueError, RecursionError):
            return None
        return value


def load_checkpoint(
    path: str | Path, *, arch: str = "auto", classes: int | None = None
) -> Checkpoint:
    """Loads a CenterNet or KORSAL checkpoint; nothing in the file is executed.

    Args:
        path: File written by ``torch.save``, or a .safetensors file. ``find_weights`` finds the
            weights in it. If it holds several networks, a warning names the one that was loaded.
        arch: Name in ``ARCHITECTURES`` that the checkpoint must match, or ``auto``.
        classes: Number of classes that the checkpoint must have; None accepts any.

    Raises:
        CheckpointError: The file cannot be read or trusted, holds another network, or has keys,
            shapes, types or values that do not fit; the message lists all such keys.
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
            hint="Name the classes that the checkpoint was trained on with "
            f"{parameter('classes')}.",
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
    """Writes the weights of a network as .safetensors; equal weights give equal bytes.

    Args:
        path: File to write; an existing file is replaced.
        network: Network of one of the ``ARCHITECTURES``.
        metadata: Strings that ``load_checkpoint`` returns; an ``epoch`` in decimal digits is also
            returned as its ``epoch``.
        half: Whether to store convolution weights as float16, for half the size; biases and norms
            stay float32.

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
                    hint="Save as float32." if half else "Train with a smaller learning rate.",
                )
        state[name] = tensor
    write_safetensors(Path(path), state, metadata)


def _state(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Returns the state dict of the network; warns about other networks and tensors in the file."""
    if content.keys() >= _OWN_STATE:
        raise CheckpointError(
            f"{path} is the saved state of a training run, which only {parameter('resume')} "
            "reads. It is not a checkpoint.",
            hint=f"Use the weights of that run: {path.with_name('weights.safetensors')}",
        )
    try:
        found = find_weights(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from error
    if found.others:
        _LOG.warning(
            "%s holds several networks. Taken: %s. Not taken: %s.",
            path,
            found.place,
            _listed(found.others),
        )
    if found.completed is not None:
        _LOG.warning(
            "%s: %s lacks some weights of the network, which were taken from %s.",
            path,
            found.place,
            found.completed or "the weights beside it",
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
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from error
    if arch not in ("auto", spec.arch):
        raise CheckpointError(
            f"Expected a checkpoint of {arch}; {path} is one of {spec.arch}.",
            hint=f"Use {parameter('arch', spec.arch)}, or leave {parameter('arch')} out.",
        )
    return spec


def _skeleton(arch: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the keys and shapes that ``state`` would have if it were of that architecture."""
    head_conv = ARCHITECTURES[arch].narrowest if "hm.weight" in state else None
    with torch.device("meta"):
        return build(arch, classes=1, head_conv=head_conv).state_dict()


def _nearest(state: Mapping[str, Tensor]) -> str | None:
    """Returns the architecture that shares most keys with ``state``, if it shares over half."""

    def likeness(arch: str) -> float:
        keys = set(_skeleton(arch, state))
        return len(keys & state.keys()) / len(keys | state.keys())

    best = max(ARCHITECTURES.own, key=likeness)
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
            hint="Give the checkpoint as training saved it; heads other than hm, wh and reg are "
            "not supported.",
        )


def _value(path: Path, name: str, expected: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    """Returns the tensor of that name as float32 (a counter as int64), after checking it."""
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
            hint=_SAVE_AGAIN,
        )
    return tensor


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    rest = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(items[:_LISTED]) + rest
