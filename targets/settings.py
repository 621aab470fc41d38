"""HOST. Completes the user's export settings with the metadata of the checkpoint."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from edgekit._checks import check_choice, check_range
from edgekit._parameters import parameter
from edgekit.bundle import CascadeSpec, DecodeSpec, InputSpec, check_choices
from edgekit.classes import CLASS_LISTS, default_classes
from edgekit.errors import CheckpointError, UsageError
from edgekit.runtime.kinds import FIRST_FRAME_RULES, KINDS, input_channels
from edgekit.targets.choices import PLACES
from edgekit.targets.published import TrainedInput, trained_input, warn_of_assumed

if TYPE_CHECKING:
    from edgekit.bundle import Place
    from edgekit.models.checkpoints import Checkpoint
    from edgekit.models.registry import NetworkSpec
    from edgekit.targets.exporter import Exporter

__all__ = ["ExportSettings", "Resolved", "resolve"]

_RATE = 25.0
"""Frames per second of UCF101-24 and of rendered clips."""


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
        interval: Seconds between the two pictures. By default that of ``frame_gap`` frames at the
            rate that the checkpoint states, or else at 25 per second, the rate of UCF101-24.
        first_frame: Rule for the first frame, one of ``edgekit.runtime.kinds.FIRST_FRAME_RULES``.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        precision: Precision of the model, ``fp32`` or ``fp16``.
        chip: Chip to compile for, one of the target's ``chips``.
        cascade_in: Place of the cascade: ``host``, ``graph``, or ``auto`` for the target's default.
        decode_in: Place of the decoding: ``host``, ``graph``, or ``auto`` for the target's default.
        dcn: Lowering of ``edgekit.models.lowerings.LOWERINGS``, or ``auto``: the target's default
            here, and in ``edgekit.targets.export`` the fastest by measurement.
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
    chip: str | None = None
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
    check_choice("first_frame", rule, FIRST_FRAME_RULES)
    check_choice("cascade_in", settings.cascade_in, PLACES)
    check_choice("decode_in", settings.decode_in, PLACES)
    classes = _classes(settings.classes, said, checkpoint.spec, path)
    trained = trained_input(classes, checkpoint.spec.channels, path.stem)
    height, width = _size(
        _first(settings.input_size, said.get("input_size", tuple[int, int]), trained.size)
    )
    trained_gap = _first(said.get("frame_gap", int), 1)
    frame_gap = _first(settings.frame_gap, trained_gap)
    check_range("frame_gap", min(frame_gap, trained_gap), 1)
    check_range("top_k", settings.top_k, 1)
    stated = said.get("interval", float)
    own = frame_gap / _RATE if stated is None else stated * (frame_gap / trained_gap)
    interval = _first(settings.interval, own)
    mean, std = _normalization(settings, said, trained)
    resolved = Resolved(
        name=_name(settings.name or said.get("name", str) or path.stem, settings.name is not None),
        classes=classes,
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
        raise UsageError(f"EdgeKit cannot make a bundle with these settings: {error}.") from error
    _warn(settings, said, trained, path)
    return resolved


def _warn(settings: ExportSettings, said: _Metadata, trained: TrainedInput, path: Path) -> None:
    """Warns of the values that only the family of the network says."""
    if trained.family:
        names = ("classes", "input_size", "mean", "std")
        unsaid = [n for n in names if getattr(settings, n) is None and not said.has(n)]
        warn_of_assumed(path, trained, unsaid)


def _kind(chosen: str | None, said: _Metadata, channels: int, path: Path) -> str:
    """Returns the kind of the cascade, which has to make the network's input channels."""
    if channels not in (3, 6):
        raise CheckpointError(
            f"Expected a network with 3 or 6 input channels; {path} has {channels}.",
            hint="Use a network that takes a picture (3 channels), or a picture and three "
            "channels of motion (6 channels).",
        )
    kind: str = _first(chosen, said.get("cascade", str), "ssim" if channels == 6 else "rgb")
    needed = input_channels(kind)
    check_choice("cascade", kind, KINDS)
    if needed != channels:
        fitting = " or ".join(k for k in KINDS if input_channels(k) == channels)
        raise UsageError(
            f"The cascade {kind} gives {needed} input channels; the network of {path} expects "
            f"{channels}.",
            hint=f"Use {parameter('cascade', fitting)}.",
        )
    return kind


def _normalization(
    settings: ExportSettings, said: _Metadata, trained: TrainedInput
) -> tuple[_Triple, _Triple]:
    """Returns mean and standard deviation of the B, G and R channels."""
    mean = _first(settings.mean, said.get("mean", _Triple), trained.mean)
    std = _first(settings.std, said.get("std", _Triple), trained.std)
    if not all(0 <= value <= 1 for value in (*mean, *std)) or min(std) <= 0:
        raise UsageError(
            f"Expected {parameter('mean')} and {parameter('std')} to be finite numbers from 0 to "
            f"1, and {parameter('std')} to be above 0; found {mean} and {std}.",
            hint="If they are those of pixels from 0 to 255, divide them by 255.",
        )
    return mean, std


def _classes(
    chosen: Sequence[str] | None, said: _Metadata, spec: NetworkSpec, path: Path
) -> tuple[str, ...]:
    """Returns the class names, one for each of the heatmap's channels."""
    given = None if chosen is None else tuple(chosen)
    classes = given or said.get("classes", tuple[str, ...])
    if classes is not None and len(classes) != spec.classes:
        raise CheckpointError(
            f"Expected {len(classes)} classes; the heatmap of {path} has {spec.classes}.",
            hint="Name the classes that the checkpoint was trained on: "
            f"{parameter('classes', '|'.join((*CLASS_LISTS, 'FILE')))}",
        )
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise CheckpointError(
            f"Expected each class name once; found {', '.join(twice)} several times.",
            hint=f"Name the classes of {path}: {parameter('classes', 'FILE')}",
        )
    return classes or default_classes(spec.classes, spec.channels)


def _place(chosen: str, usual: Place) -> Place:
    return usual if chosen == "auto" else cast("Place", chosen)


def _lowering(chosen: str, writer: Exporter) -> str:
    if chosen == "auto":
        return writer.lowerings[0]
    hint = f"Leave out {parameter('dcn')} to use {writer.lowerings[0]}."
    check_choice("dcn", chosen, writer.lowerings, where="for this target", hint=hint)
    return chosen


class _Metadata:
    """The JSON strings that training stored with the weights."""

    def __init__(self, strings: dict[str, str], path: Path) -> None:
        self._strings = strings
        self._path = path

    def has(self, key: str) -> bool:
        """Returns whether training stored that value."""
        return key in self._strings

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
                f"Expected {key!r} in the metadata of {self._path} to be JSON of the right type; "
                f"found {text[:80]!r}.",
                hint="Save the checkpoint again with edgekit train.",
            ) from error


def _first(*choices: Any) -> Any:
    return next(choice for choice in choices if choice is not None)


def _size(size: tuple[int, int]) -> tuple[int, int]:
    if any(side < 64 or side % 32 for side in size):
        raise UsageError(
            f"Expected height and width of {parameter('input_size')} to be multiples of 32, and "
            f"at least 64; found {size[0]}x{size[1]}.",
            hint=f"Use for example {parameter('input_size', 256)}.",
        )
    return size


def _name(name: str, given: bool) -> str:
    clean = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "model"
    if given and clean != name:
        raise UsageError(
            f"Expected a name of letters, digits, '.', '_' and '-'; found {name!r}.",
            hint=f"Use for example {parameter('name', clean)}.",
        )
    return clean
