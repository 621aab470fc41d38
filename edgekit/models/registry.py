"""Registry of all networks: builds each one, and identifies it from its weights.

To add a network, add one entry to ``ARCHITECTURES``, or, from a package of its own, an entry point
in the group ``edgekit.networks``: a builder, the default head width, and the keys that distinguish
its state dict from all others. The builder returns a module whose ``forward``
gives a dict of ``hm``, ``wh`` and ``reg`` at stride 4. Its last heatmap convolution must be called
``hm`` or, after a 3x3 convolution ``hm.0``, ``hm.2``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

from edgekit._checks import check_choice
from edgekit._printable import listed
from edgekit.errors import CheckpointError, UsageError
from edgekit.system.plugins import Registry, import_object

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Builder",
    "NetworkSpec",
    "architecture",
    "build",
    "identify",
    "recognize",
]

_LARGEST_DIMENSION = 65536

Builder: TypeAlias = "Callable[[int, int, int], nn.Module]"
"""Function that makes a network of so many classes, input channels and head channels."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Description from which a network is built.

    Attributes:
        arch: Name in ``ARCHITECTURES``.
        classes: Number of heatmap channels.
        channels: Number of input channels: 3 (picture) or 6 (picture and cascade).
        head_conv: Width of the 3x3 convolution in each head; 0 if there is none.
    """

    arch: str
    classes: int
    channels: int
    head_conv: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network: its builder and the signature of its state dict.

    Attributes:
        build: Builder, or its name as ``module:Object``, which is imported when it is used.
        head_conv: Default width of the heads.
        stem: Key of the first convolution's weight, whose second axis is the input channels.
        has: Keys that its state dict has, besides the stem and the heads.
        lacks: Keys that its state dict does not have.
        unused: Key prefixes in published checkpoints that the network does not use.
        narrowest: Smallest ``head_conv`` that the builder accepts.
    """

    build: Builder | str
    head_conv: int
    stem: str
    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    narrowest: int = 0


def build(arch: str, *, classes: int, channels: int = 6, head_conv: int | None = None) -> nn.Module:
    """Returns a network with fresh weights, in training mode.

    Args:
        arch: Name in ``ARCHITECTURES``.
        classes: Number of heatmap channels, at least 1.
        channels: Number of input channels, at least 1.
        head_conv: Width of the 3x3 convolution in each head; 0 for none; None for the default of
            the architecture.

    Raises:
        UsageError: There is no such architecture, or a size is not possible.
        PluginError: The network comes from a package and cannot be used.
    """
    known = architecture(arch)
    width = known.head_conv if head_conv is None else head_conv
    if classes < 1 or channels < 1 or width < known.narrowest:
        raise UsageError(
            f"Expected at least one class, one input channel and, for {arch}, a head width of "
            f"{known.narrowest} or more; found {classes}, {channels} and {width}."
        )
    builder = known.build
    with ARCHITECTURES.attributed(arch):
        if isinstance(builder, str):
            builder = cast("Builder", import_object(builder))
        return builder(classes, channels, width)


def architecture(arch: str) -> Architecture:
    """Returns the entry of ``ARCHITECTURES`` with that name.

    Raises:
        UsageError: There is no such entry.
        PluginError: The entry comes from a package and cannot be used.
    """
    check_choice("arch", arch, ARCHITECTURES)
    return ARCHITECTURES[arch]


def identify(state: Mapping[str, Tensor]) -> NetworkSpec:
    """Identifies a network and its sizes from the keys and shapes of its state dict.

    Args:
        state: State dict, with the names of wrapper modules removed from its keys.

    Raises:
        CheckpointError: No known network has such keys, or the shape of the first or last layer is
            impossible.
    """
    name = recognize(state)
    if name is not None:
        return _spec(name, ARCHITECTURES[name], state)
    raise CheckpointError(
        f"Expected the weights of one of {listed(ARCHITECTURES)}; found {len(state)} keys "
        f"that belong to none of them: {_some(state)}.",
        hint="Give the checkpoint of a CenterNet or KORSAL detector.",
    )


def recognize(keys: Collection[str]) -> str | None:
    """Returns the name of the network whose state dict has such keys; None if unknown."""
    for name, known in ARCHITECTURES.usable():
        needed = (known.stem, "hm.weight" if "hm.weight" in keys else "hm.2.weight", *known.has)
        if all(key in keys for key in needed) and not any(key in keys for key in known.lacks):
            return name
    return None


def _spec(name: str, known: Architecture, state: Mapping[str, Tensor]) -> NetworkSpec:
    def shape(key: str) -> tuple[int, ...]:
        found = tuple(state[key].shape)
        if len(found) != 4 or not all(1 <= size <= _LARGEST_DIMENSION for size in found):
            raise CheckpointError(
                f"Expected four positive sizes in the shape of {key} of {name}; found {found}.",
                hint="Save the checkpoint again from the network that was trained.",
            )
        return found

    channels = shape(known.stem)[1]
    if "hm.weight" in state:
        return NetworkSpec(name, shape("hm.weight")[0], channels, 0)
    final = shape("hm.2.weight")
    return NetworkSpec(name, final[0], channels, final[1])


def _some(state: Mapping[str, Tensor], count: int = 5) -> str:
    keys = sorted(state)
    rest = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(keys[:count]) + rest


def _resnet(depth: int, deformable: bool, classes: int, channels: int, head_conv: int) -> nn.Module:
    from edgekit.models.resnet import ResNet

    return ResNet(classes, channels, head_conv, depth=depth, deformable=deformable)


def _dla_entry(build: str, way_up: str) -> Architecture:
    return Architecture(
        build,
        head_conv=256,
        stem="base.base_layer.0.weight",
        has=("base.level3.tree2.root.conv.weight", "base.level5.root.conv.weight", way_up),
        lacks=("base.level2.tree1.conv3.weight",),
        unused=("base.fc.",),
    )


def _resnet_entry(depth: int, deformable: bool) -> Architecture:
    last, beyond = {
        18: ("layer3.1.conv2", "layer3.2.conv1"),
        50: ("layer3.5.conv3", "layer3.6.conv1"),
        101: ("layer3.22.conv3", "layer3.23.conv1"),
    }[depth]
    has = [f"{last}.weight", "deconv_layers.3.weight"]
    lacks = [f"{beyond}.weight"]
    if depth == 18:
        lacks.append("layer3.0.conv3.weight")
    (has if deformable else lacks).append("deconv_layers.0.conv_offset_mask.weight")
    return Architecture(
        partial(_resnet, depth, deformable),
        head_conv=64,
        stem="conv1.weight",
        has=tuple(has),
        lacks=tuple(lacks),
        unused=("fc.",),
    )


ARCHITECTURES: Registry[Architecture] = Registry(
    "edgekit.networks",
    {
        "dla34": _dla_entry(
            "edgekit.models.dla:DLA34", "dla_up.ida_0.proj_1.conv.conv_offset_mask.weight"
        ),
        "dlav0_34": _dla_entry("edgekit.models.dla:DLAV034", "dla_up.ida_0.proj_1.0.weight"),
        "res18": _resnet_entry(18, deformable=False),
        "res50": _resnet_entry(50, deformable=False),
        "res101": _resnet_entry(101, deformable=False),
        "resdcn18": _resnet_entry(18, deformable=True),
        "resdcn50": _resnet_entry(50, deformable=True),
        "resdcn101": _resnet_entry(101, deformable=True),
        "lite0": Architecture(
            "edgekit.models.lite0:Lite0",
            head_conv=64,
            stem="stem.0.weight",
            has=("blocks.15.project.0.weight", "laterals.0.0.weight", "smooth.0.weight"),
            narrowest=1,
        ),
    },
    lambda part: isinstance(part, Architecture) and isinstance(part.has, tuple),
    "an Architecture",
)
"""Networks by the name that ``--arch`` takes."""
