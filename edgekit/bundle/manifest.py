"""Defines the manifest of a bundle, and the allowed values of its fields."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "CascadeSpec",
    "DecodeSpec",
    "FileEntry",
    "HeadCheck",
    "InputSpec",
    "LoweringTimes",
    "Manifest",
    "OutputSpec",
    "Place",
    "Provenance",
    "Quantization",
    "RoundingCheck",
    "TubeCheck",
    "Verification",
    "check_choices",
    "check_values",
]

MANIFEST = "manifest.json"
"""Name of the manifest's file in the folder of a bundle."""

SCHEMA = 1
"""Version of the manifest's layout that this EdgeKit writes, and the newest that it reads."""

Place = Literal["host", "graph"]

_MOST_PIXELS, _MOST_SCORES = 1 << 22, 1 << 26
_LARGEST_NORM = 1e3
_SMALLEST_STD = 1e-4
_LARGEST_GAP = 1000
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.001, 10.0
_K1, _K2 = 0.01, 0.03  # the only values that edgekit.runtime.ssim computes with


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class InputSpec(_Spec, frozen=True, kw_only=True):
    """Input of the network: a letterboxed picture, scaled as (u / 255 - mean) / std."""

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    colour_order: Literal["BGR"] = "BGR"
    letterbox: Literal["centre-affine"] = "centre-affine"


class CascadeSpec(_Spec, frozen=True, kw_only=True):
    """Temporal part of the input; see ``edgekit.runtime.cascade``.

    Attributes:
        interval: Seconds between the two pictures that the model was trained with. Early
            bundles lack it; their readers compare with the picture ``frame_gap`` earlier.
    """

    kind: Literal["ssim", "ssim-shifted", "dssim", "rgb"] = "ssim"
    frame_gap: int = 1
    interval: float | msgspec.UnsetType = msgspec.UNSET
    first_frame: Literal["zero", "repeat"] = "zero"
    window: Literal[7] = 7
    k1: float = _K1
    k2: float = _K2
    place: Place = "host"


class OutputSpec(_Spec, frozen=True, kw_only=True):
    """One output of the model."""

    name: str
    meaning: str
    layout: str
    channels: int


class DecodeSpec(_Spec, frozen=True, kw_only=True):
    """Decoding of the outputs into boxes; see ``edgekit.runtime.decode``."""

    top_k: int = 50
    stride: int = 4
    place: Place = "host"


class RoundingCheck(_Spec, frozen=True, kw_only=True):
    """Comparison of an integer model with the float model that it was made from, by detections.

    Attributes:
        frames: Number of compared frames.
        objects: Number of boxes in the ground truth of these frames.
        annotated: Whether the ground truth is an annotation, not the float model's own detections.
        float_map: Frame-mAP at 0.5 of the float model, 0 to 1.
        frame_map: Frame-mAP at 0.5 of the integer model, 0 to 1.
        agreement: Share of the float model's detections with a score over 0.3 that the integer
            model has as well, at any score: equal class, IoU over 0.8.
        sqnr: Ratio of signal to rounding noise of each head, in decibels.
    """

    frames: int
    objects: int
    annotated: bool
    float_map: float
    frame_map: float
    agreement: float
    sqnr: dict[str, float]

    @property
    def drop(self) -> float:
        """Loss of frame-mAP, as a share; negative if the integer model is better."""
        return self.float_map - self.frame_map


class TubeCheck(_Spec, frozen=True, kw_only=True):
    """Comparison of an integer model with the float model that it was made from, by tubes.

    Attributes:
        videos: Number of compared videos.
        tubes: Number of tubes in their ground truth.
        annotated: Whether the ground truth is an annotation, not the float model's own tubes.
        float_map: Video-mAP at 0.5 of the float model, 0 to 1.
        video_map: Video-mAP at 0.5 of the integer model, 0 to 1.
    """

    videos: int
    tubes: int
    annotated: bool
    float_map: float
    video_map: float

    @property
    def drop(self) -> float:
        """Loss of video-mAP, as a share; negative if the integer model is better."""
        return self.float_map - self.video_map


class Quantization(_Spec, frozen=True, kw_only=True):
    """Method and cost of making an integer model from a float model.

    Attributes:
        fine_tuning: Record of a fine-tuning that no longer exists; read so that bundles which have
            it still load, and never written.
    """

    method: str
    samples: int
    kept_float: tuple[str, ...] = ()
    float_bundle: str = ""
    check: RoundingCheck | None = None
    tubes: TubeCheck | msgspec.UnsetType = msgspec.UNSET
    fine_tuning: dict[str, bool | int | float] | msgspec.UnsetType = msgspec.UNSET


class HeadCheck(_Spec, frozen=True, kw_only=True):
    """Difference of one output of the written file from PyTorch's output."""

    max_difference: float
    largest: float
    cosine: float


class Verification(_Spec, frozen=True, kw_only=True):
    """Comparison of PyTorch and the written model, made before the bundle was written.

    Attributes:
        simulator: Simulator that computed in place of the target's hardware.
    """

    frames: int
    heads: dict[str, HeadCheck]
    top_detections_agreeing: float
    tolerance: float
    simulator: str | msgspec.UnsetType = msgspec.UNSET


class LoweringTimes(_Spec, frozen=True, kw_only=True):
    """Times of the forms of deformable convolutions that ``--dcn auto`` chose among.

    Attributes:
        chosen: Name in ``edgekit.models.lowerings.LOWERINGS`` of the form in the model.
        ms: Median milliseconds of an inference with each form.
        refused: Reason why a form could not be used, by its name.
        runtime: Runtime that was measured, and its version.
        device: Device that it ran on.
    """

    chosen: str
    ms: dict[str, float]
    refused: dict[str, str] = {}
    runtime: str
    device: str


class Provenance(_Spec, frozen=True, kw_only=True):
    """Origin of a bundle.

    Attributes:
        lowerings: Measured times of the forms of deformable convolutions, if there was a choice.
    """

    checkpoint: str
    checkpoint_sha256: str
    edgekit: str
    date: str
    lowerings: LoweringTimes | msgspec.UnsetType = msgspec.UNSET


class FileEntry(_Spec, frozen=True, kw_only=True):
    """One file of the bundle, by its relative path with forward slashes."""

    path: str
    sha256: str
    size: int


# Many attributes: it mirrors the fields of manifest.json, one for one.
class Manifest(_Spec, frozen=True, kw_only=True):
    """Description of a bundle, in the terms of ``docs/bundle.md``.

    Attributes:
        chip: Chip that the model was compiled for, if it fits one chip only.
    """

    schema: int = SCHEMA
    name: str
    arch: str
    classes: tuple[str, ...]
    target: str
    precision: str
    chip: str | msgspec.UnsetType = msgspec.UNSET
    model: str
    input: InputSpec
    cascade: CascadeSpec
    outputs: tuple[OutputSpec, ...]
    decode: DecodeSpec
    quantization: Quantization | None = None
    opset: int | None = None
    converter: dict[str, str] = {}
    verification: Verification | None = None
    provenance: Provenance
    files: tuple[FileEntry, ...] = ()


def check_values(manifest: Manifest) -> None:
    """Raises ``ValueError`` if a bundle cannot have these values."""
    check_choices(manifest.input, manifest.cascade, manifest.decode, manifest.classes)
    _check_outputs(manifest)


def check_choices(
    size: InputSpec, cascade: CascadeSpec, decode: DecodeSpec, classes: tuple[str, ...]
) -> None:
    """Raises ``ValueError`` if a bundle cannot have these parts."""
    if not classes:
        raise ValueError("there are no classes")
    height, width = size.height, size.width
    if height % 32 or width % 32 or min(height, width) < 32 or height * width > _MOST_PIXELS:
        raise ValueError(
            f"input {height}x{width}: expected multiples of 32, and at most {_MOST_PIXELS} pixels"
        )
    if not all(_SMALLEST_STD <= value <= _LARGEST_NORM for value in size.std):
        raise ValueError(f"std {size.std} is not from {_SMALLEST_STD} to {_LARGEST_NORM}")
    if not all(abs(value) <= _LARGEST_NORM for value in size.mean):
        raise ValueError(f"mean {size.mean} is not from {-_LARGEST_NORM} to {_LARGEST_NORM}")
    if (cascade.k1, cascade.k2) != (_K1, _K2):
        raise ValueError(f"k1 {cascade.k1} and k2 {cascade.k2} are not {_K1} and {_K2}")
    _check_range("frame_gap", cascade.frame_gap, 1, _LARGEST_GAP)
    if cascade.interval is not msgspec.UNSET:
        _check_range("interval", cascade.interval, _SHORTEST_INTERVAL, _LONGEST_INTERVAL)
    _check_range("top_k", decode.top_k, 1, height * width * len(classes))
    _check_range("stride", decode.stride, 1, 32)
    scores = len(classes) * height * width // decode.stride**2
    _check_range("the number of scores of a frame", scores, 1, _MOST_SCORES)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} {value} is not from {least} to {most}")


def _check_outputs(manifest: Manifest) -> None:
    channels = {output.name: output.channels for output in manifest.outputs}
    heads = {"hm": len(manifest.classes), "wh": 2, "reg": 2}
    expected = heads if manifest.decode.place == "host" else {"detections": 6}
    if channels != expected:
        raise ValueError(
            f"the model has the outputs {channels}; with {len(manifest.classes)} classes and "
            f"decoding on the {manifest.decode.place}, {expected} were expected"
        )
