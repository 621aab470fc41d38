"""HOST. Completes a user's export settings with what the checkpoint says about itself."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from edgekit.bundle import CascadeSpec, DecodeSpec, InputSpec, check_choices
from edgekit.classes import default_classes
from edgekit.errors import CheckpointError, UsageError
from edgekit.runtime.kinds import FIRST_FRAME_RULES, KINDS

if TYPE_CHECKING:
    from edgekit.bundle import Place
    from edgekit.models.checkpoints import Checkpoint
    from edgekit.targets.exporter import Exporter

__all__ = ["MEAN", "STD", "ExportSettings", "Resolved", "resolve"]

MEAN = (0.40789654, 0.44719302, 0.47026115)
"""Mean of the B, G and R channels: the values of KORSAL and CenterNet."""

STD = (0.28863828, 0.27408164, 0.27809835)

_RATE = 25.0
"""Frames per second of UCF101-24 and of rendered clips."""

_PLACES = ("auto", "host", "graph")
_Triple = tuple[float, float, float]
_T = TypeVar("_T")


# Many attributes: one for each setting of ``export``, as users know them.
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """Settings of an export. ``None`` leaves a choice to the checkpoint, or to the default.

    Attributes:
        arch: Name in ``edgekit.models.registry.ARCHITECTURES``, or ``auto``.
        classes: Class names, in the order of the heatmap's channels.
        input_size: Height and width of the input in pixels, multiples of 32.
        cascade: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        frame_gap: Number of frames between the earlier and the current picture.
        interval: Seconds between the two pictures; by default the duration of ``frame_gap`` frames
            at 25 per second, the rate of UCF101-24.
        first_frame: Rule for the first frame, one of ``edgekit.runtime.kinds.FIRST_FRAME_RULES``.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        precision: Precision of the model, ``fp32`` or ``fp16``.
        cascade_in: Place of the cascade: ``host``, ``graph``, or ``auto`` for the target's default.
        decode_in: Place of the decoding: ``host``, ``graph``, or ``auto`` for the target's default.
        dcn: Lowering of ``edgekit.models.lowerings.LOWERINGS``, or ``auto``.
        top_k: Number of peaks that become boxes.
        name: Name of the model; by default the name in the checkpoint.
        tolerance: Largest accepted difference; ``edgekit.targets.verify.TOLERANCES`` has the
            defaults.
    """

    arch: str = "auto"
    classes: Sequence[str] | None = None
    input_size: tuple[int, int] | None = None
    cascade: str | None = None
    frame_gap: int | None = None
    interval: float | None = None
    first_frame: str | None = None
    mean: _Triple | None = None
    std: _Triple | None = None
    precision: str = "fp32"
    cascade_in: str = "auto"
    decode_in: str = "auto"
    dcn: str = "auto"
    top_k: int = 50
    name: str | None = None
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """All settings after completion: parts of the manifest, and the DCN lowering."""

    name: str
    classes: tuple[str, ...]
    input: InputSpec
    cascade: CascadeSpec
    decode: DecodeSpec
    dcn: str


def resolve(
    settings: ExportSettings, checkpoint: Checkpoint, path: Path, writer: Exporter
) -> Resolved:
    """Completes the user's settings.

    Args:
        settings: Settings that the user gave.
        checkpoint: Loaded checkpoint; its metadata provides the values that the user left out.
        path: Path of the checkpoint, whose stem is the fallback for the model's name.
        writer: Exporter of the target, which knows the target's defaults.

    Raises:
        UsageError: A setting is not possible, or does not fit the network.
        CheckpointError: The metadata, or the number of input channels, is not possible.
    """
    said = _Metadata(checkpoint.metadata, path)
    kind = _kind(settings.cascade, said, checkpoint.spec.channels, path)
    rule = _first(settings.first_frame, said.get("first_frame", str), "zero")
    _one_of("first frame", rule, FIRST_FRAME_RULES)
    _one_of("place of the cascade", settings.cascade_in, _PLACES)
    _one_of("place of the decoding", settings.decode_in, _PLACES)
    height, width = _size(
        _first(settings.input_size, said.get("input_size", tuple[int, int]), (256, 256))
    )
    frame_gap = _first(settings.frame_gap, said.get("frame_gap", int), 1)
    if frame_gap < 1 or settings.top_k < 1:
        raise UsageError(
            f"Expected a frame gap and a top-k of at least 1; found {frame_gap} and "
            f"{settings.top_k}."
        )
    interval = _first(settings.interval, said.get("interval", float), frame_gap / _RATE)
    mean, std = _normalization(settings, said)
    resolved = Resolved(
        name=_name(settings.name or said.get("name", str) or path.stem, settings.name is not None),
        classes=_classes(settings.classes, said, checkpoint.spec.classes, path),
        input=InputSpec(height=height, width=width, mean=mean, std=std),
        cascade=msgspec.convert(
            {
                "kind": kind,
                "frame_gap": frame_gap,
                "interval": interval,
                "first_frame": rule,
                "place": _place(settings.cascade_in, writer.cascade),
            },
            CascadeSpec,
        ),
        decode=DecodeSpec(top_k=settings.top_k, place=_place(settings.decode_in, writer.decode)),
        dcn=_lowering(settings.dcn, writer),
    )
    try:
        check_choices(resolved.input, resolved.cascade, resolved.decode, resolved.classes)
    except ValueError as error:
        raise UsageError(f"No bundle can be made so: {error}.") from error
    return resolved


def _kind(chosen: str | None, said: _Metadata, channels: int, path: Path) -> str:
    """Returns the kind of the cascade, which has to make the network's input channels."""
    if channels not in (3, 6):
        raise CheckpointError(
            f"Expected a network of 3 or 6 input channels; {path} has {channels}.",
            hint="A picture has 3, a picture with its SSIM map 6.",
        )
    kind: str = _first(chosen, said.get("cascade", str), "ssim" if channels == 6 else "rgb")
    needed = 3 if kind == "rgb" else 6
    _one_of("cascade", kind, KINDS)
    if needed != channels:
        fitting = ", ".join(k for k in KINDS if (k == "rgb") == (channels == 3))
        raise UsageError(
            f"The cascade {kind} makes {needed} input channels; the network of {path} takes "
            f"{channels}.",
            hint=f"Use --cascade {fitting}." if channels == 3 else f"Use one of: {fitting}.",
        )
    return kind


def _normalization(settings: ExportSettings, said: _Metadata) -> tuple[_Triple, _Triple]:
    """Returns mean and standard deviation of the B, G and R channels."""
    mean = _first(settings.mean, said.get("mean", _Triple), MEAN)
    std = _first(settings.std, said.get("std", _Triple), STD)
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise UsageError(f"Expected finite numbers, std above 0; found {mean} and {std}.")
    return mean, std


def _classes(
    chosen: Sequence[str] | None, said: _Metadata, channels: int, path: Path
) -> tuple[str, ...]:
    """Returns the class names, one for each of the heatmap's ``channels``."""
    given = None if chosen is None else tuple(chosen)
    classes = given or said.get("classes", tuple[str, ...])
    if classes is not None and len(classes) != channels:
        raise CheckpointError(
            f"Expected {len(classes)} classes; the heatmap of {path} has {channels}.",
            hint="Name the classes that it was trained on: --classes ucf24|jhmdb21|coco|FILE",
        )
    return classes or default_classes(channels)


def _place(chosen: str, usual: Place) -> Place:
    return usual if chosen == "auto" else cast("Place", chosen)


def _lowering(chosen: str, writer: Exporter) -> str:
    if chosen == "auto":
        return writer.lowerings[0]
    if chosen not in writer.lowerings:
        raise UsageError(
            f"This target cannot take deformable convolutions as {chosen}.",
            hint=f"Use --dcn {' or '.join(writer.lowerings)}.",
        )
    return chosen


class _Metadata:
    """The JSON strings that training stored with the weights."""

    def __init__(self, strings: dict[str, str], path: Path) -> None:
        self._strings = strings
        self._path = path

    def get(self, key: str, kind: type[_T] | Any) -> _T | None:
        if key not in self._strings:
            return None
        text = self._strings[key]
        try:
            return msgspec.json.decode(text.encode(), type=kind)
        except msgspec.DecodeError as error:
            if kind is str:  # a bare word is as clear as a quoted one
                return text  # type: ignore[return-value]
            raise CheckpointError(
                f"Expected {key!r} in the metadata of {self._path} to be JSON of its kind; "
                f"found {text[:80]!r}.",
                hint="Save the checkpoint again with edgekit train.",
            ) from error


def _first(*choices: Any) -> Any:
    return next(choice for choice in choices if choice is not None)


def _one_of(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"The {what} is one of {', '.join(choices)}, not {value!r}.")


def _size(size: tuple[int, int]) -> tuple[int, int]:
    if any(side < 64 or side % 32 for side in size):
        raise UsageError(
            f"Expected an input size of multiples of 32, at least 64; found {size[0]}x{size[1]}.",
            hint="For example --input-size 256, or 256x320 (height x width).",
        )
    return size


def _name(name: str, given: bool) -> str:
    clean = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "model"
    if given and clean != name:
        raise UsageError(
            f"Expected a name of letters, digits, '.', '_' and '-'; found {name!r}.",
            hint=f"For example --name {clean}",
        )
    return clean
