"""Defines the bundle: a folder with all that a device needs to run a detector, and nothing else.

``manifest.json`` describes the model, its input, its output and its origin, and has the checksum of
every other file. Loading checks all of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from edgekit._external_data import names_other_files
from edgekit.errors import BundleError, UsageError
from edgekit.files.checksums import sha256_of
from edgekit.files.reading import path_below, read_regular
from edgekit.files.writing import atomic_folder
from edgekit.system.installation import install_line

__all__ = [
    "ARTIFACTS",
    "MANIFEST",
    "SCHEMA",
    "Bundle",
    "CascadeSpec",
    "DecodeSpec",
    "FileEntry",
    "FineTuning",
    "HeadCheck",
    "InputSpec",
    "Manifest",
    "OutputSpec",
    "Provenance",
    "Quantization",
    "RoundingCheck",
    "TubeCheck",
    "Verification",
    "check_choices",
    "date_of_today",
    "load_bundle",
    "save_bundle",
]

ARTIFACTS = Path("artifacts")
"""Default folder for new bundles, within the current folder."""

MANIFEST = "manifest.json"
SCHEMA = 1

Place = Literal["host", "graph"]

_EXPORT_AGAIN = "Export it again: edgekit export CHECKPOINT --target TARGET"
_MOST_BYTES = 1 << 22
_LARGEST_SIDE = 8192
_LARGEST_NORM = 1e3
_SMALLEST_STD = 1e-4
_LARGEST_GAP = 1000
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.001, 10.0


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
        interval: Seconds between the two pictures that the model was trained with. Bundles of
            EdgeKit 0.1.0 lack it; their readers compare with the picture ``frame_gap`` earlier.
    """

    kind: Literal["ssim", "ssim-shifted", "dssim", "rgb"] = "ssim"
    frame_gap: int = 1
    interval: float | msgspec.UnsetType = msgspec.UNSET
    first_frame: Literal["zero", "repeat"] = "zero"
    window: Literal[7] = 7
    k1: float = 0.01
    k2: float = 0.03
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
            model has as well: equal class, IoU over 0.8.
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


class FineTuning(_Spec, frozen=True, kw_only=True):
    """Fine-tuning of the weights for integers before they were rounded, and its effect.

    Attributes:
        steps: Number of gradient descent steps.
        seed: Seed for choosing the frames of each step.
        annotated: Whether training used annotations, in addition to the float model.
        before: Loss of the rounding network on held-out frames, with the original weights.
        after: Loss with the best weights of the run; equal to ``before`` if none were better.
        used: Whether the model has the new weights, because they also lost less in the target's
            own integers.
    """

    steps: int
    seed: int
    annotated: bool
    before: float
    after: float
    used: bool


class Quantization(_Spec, frozen=True, kw_only=True):
    """Method and cost of making an integer model from a float model."""

    method: str
    samples: int
    kept_float: tuple[str, ...] = ()
    float_bundle: str = ""
    check: RoundingCheck | None = None
    tubes: TubeCheck | msgspec.UnsetType = msgspec.UNSET
    fine_tuning: FineTuning | msgspec.UnsetType = msgspec.UNSET


class HeadCheck(_Spec, frozen=True, kw_only=True):
    """Difference of one output of the written file from PyTorch's output."""

    max_difference: float
    largest: float
    cosine: float


class Verification(_Spec, frozen=True, kw_only=True):
    """Comparison of PyTorch and the written model, made before the bundle was written."""

    frames: int
    heads: dict[str, HeadCheck]
    top_detections_agreeing: float
    tolerance: float


class Provenance(_Spec, frozen=True, kw_only=True):
    """Origin of a bundle."""

    checkpoint: str
    checkpoint_sha256: str
    edgekit: str
    date: str


class FileEntry(_Spec, frozen=True, kw_only=True):
    """One file of the bundle, by its relative path with forward slashes."""

    path: str
    sha256: str
    size: int


class Manifest(_Spec, frozen=True, kw_only=True):
    """Description of a bundle, in the terms of ``docs/bundle.md``."""

    schema: int = SCHEMA
    name: str
    arch: str
    classes: tuple[str, ...]
    target: str
    precision: str
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


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk that has been checked.

    Attributes:
        path: Path of its folder.
        manifest: Description of the bundle.
        sha256: SHA-256 of the manifest, which covers all files through their checksums.
    """

    path: Path
    manifest: Manifest
    sha256: str

    @property
    def model_path(self) -> Path:
        """Path of the model file."""
        return self.path / self.manifest.model

    def read_model(self) -> bytes:
        """Returns the content of the model file, checked against the checksum in the manifest.

        Raises:
            BundleError: The file was changed since the bundle was checked.
        """
        return self.read_file(self.manifest.model)

    def read_file(self, name: str) -> bytes:
        """Returns the content of a file, checked against the checksum in the manifest.

        Args:
            name: Path of the file in the manifest.

        Raises:
            BundleError: The file was changed since the bundle was checked.
        """
        (entry,) = (entry for entry in self.manifest.files if entry.path == name)
        path = self.path / name
        try:
            content = read_regular(path, entry.size)
        except OSError as error:
            raise BundleError(f"Cannot read {path}: {error.strerror}.", mend=_EXPORT_AGAIN) from (
                error
            )
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{path} was changed since it was checked.", mend=_EXPORT_AGAIN)
        return content

    @property
    def size(self) -> int:
        """Size of all files except the manifest, in bytes."""
        return sum(entry.size for entry in self.manifest.files)

    @property
    def notices(self) -> dict[str, Path]:
        """Licence and notice files of the weights, by name; derived bundles must copy them."""
        names = (entry.path for entry in self.manifest.files)
        return {name: self.path / name for name in names if name in ("LICENSE", "NOTICE")}


def date_of_today() -> str:
    """Returns today's date, or that of ``SOURCE_DATE_EPOCH`` if it is set, as YYYY-MM-DD.

    Raises:
        UsageError: ``SOURCE_DATE_EPOCH`` is not a number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(int(epoch) if epoch else None))
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"Expected SOURCE_DATE_EPOCH to be seconds since 1970; found {epoch!r}.",
            mend="Run: unset SOURCE_DATE_EPOCH",
        ) from error


def save_bundle(
    path: Path, manifest: Manifest, files: Mapping[str, Path], *, force: bool = False
) -> Bundle:
    """Writes a bundle, completely or not at all.

    Args:
        path: Folder of the bundle.
        manifest: Description of the bundle; its ``files`` are filled in here.
        files: File to copy to each path in the bundle.
        force: Whether to replace an existing bundle.

    Raises:
        OutputError: The folder exists and ``force`` is not set, or it cannot be written.
    """
    with atomic_folder(path, force=force, mark=MANIFEST) as temporary:
        entries = []
        for name in sorted(files):
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[name], target)
            entry = FileEntry(path=name, sha256=sha256_of(target), size=target.stat().st_size)
            entries.append(entry)
        manifest = msgspec.structs.replace(manifest, files=tuple(entries))
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        (temporary / MANIFEST).write_bytes(text)
    return Bundle(path, manifest, hashlib.sha256(text).hexdigest())


def load_bundle(path: Path) -> Bundle:
    """Reads a bundle, and checks its schema and the place, size and checksum of every file.

    Args:
        path: Folder of the bundle.

    Raises:
        BundleError: The folder is not a bundle, has a newer schema, or a file is missing, edited,
            truncated or outside the folder.
    """
    path = Path(path)
    mend = _EXPORT_AGAIN
    try:
        text = read_regular(path / MANIFEST, _MOST_BYTES)
    except OSError as error:
        mend = "Make one: edgekit export CHECKPOINT --target onnx"
        if path.is_file() and (path.parent / MANIFEST).is_file():
            mend = f"Name its folder: {path.parent}"
        raise BundleError(
            f"{path} is not a bundle: a folder with {MANIFEST} was expected ({error.strerror}).",
            mend=mend,
        ) from error
    manifest = _manifest(path, text, mend)
    if manifest.model not in {entry.path for entry in manifest.files}:
        raise BundleError(f"{path}: the manifest lists no file {manifest.model!r}.", mend=mend)
    for entry in manifest.files:
        _check_file(path, entry, mend)
    bundle = Bundle(path, manifest, hashlib.sha256(text).hexdigest())
    _check_weights(bundle, mend)
    return bundle


def _check_weights(bundle: Bundle, mend: str) -> None:
    """Refuses weights that no checksum covers: in files named by the model, or beside it."""
    beside = PurePosixPath(bundle.manifest.model).with_suffix(".bin").as_posix()
    listed = {entry.path for entry in bundle.manifest.files}
    if beside not in listed and (bundle.path / beside).exists():
        raise BundleError(
            f"{bundle.path}: the manifest does not list {beside}, from which weights are read.",
            mend=mend,
        )
    if names_other_files(bundle.model_path.read_bytes()):  # its checksum was checked before
        raise BundleError(
            f"{bundle.model_path} keeps weights in other files, which no checksum covers.",
            mend=mend,
        )


def _manifest(path: Path, text: bytes, mend: str) -> Manifest:
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path / MANIFEST} is not JSON: {error}.", mend=mend) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(
            f"{path} has bundle schema {schema}; this EdgeKit knows up to {SCHEMA}.",
            mend=f"Upgrade EdgeKit: {install_line(upgrade=True)}",
        )
    try:
        manifest = msgspec.convert(raw, Manifest)
        _check_values(manifest)
    except (msgspec.ValidationError, ValueError) as error:
        raise BundleError(f"{path / MANIFEST} is not a manifest: {error}.", mend=mend) from error
    return manifest


def _check_values(manifest: Manifest) -> None:
    if manifest.schema != SCHEMA:
        raise ValueError(f"schema {manifest.schema} is unknown")
    check_choices(manifest.input, manifest.cascade, manifest.decode, manifest.classes)
    _check_outputs(manifest)


def check_choices(
    size: InputSpec, cascade: CascadeSpec, decode: DecodeSpec, classes: tuple[str, ...]
) -> None:
    """Raises ``ValueError`` if a bundle cannot have these parts."""
    if not classes:
        raise ValueError("there are no classes")
    for side in (size.height, size.width):
        if side % 32 or not 32 <= side <= _LARGEST_SIDE:
            raise ValueError(
                f"input {size.height}x{size.width} is no multiple of 32, or over {_LARGEST_SIDE}"
            )
    if not all(_SMALLEST_STD <= value <= _LARGEST_NORM for value in size.std):
        raise ValueError(f"std {size.std} is not from {_SMALLEST_STD} to {_LARGEST_NORM}")
    if not all(abs(value) <= _LARGEST_NORM for value in size.mean):
        raise ValueError(f"mean {size.mean} is no number, or over {_LARGEST_NORM}")
    if not (0 < cascade.k1 < 1 and 0 < cascade.k2 < 1):
        raise ValueError(f"k1 {cascade.k1} or k2 {cascade.k2} is not between 0 and 1")
    if not 1 <= cascade.frame_gap <= _LARGEST_GAP:
        raise ValueError(f"frame_gap {cascade.frame_gap} is not from 1 to {_LARGEST_GAP}")
    if not _SHORTEST_INTERVAL <= (cascade.interval or _SHORTEST_INTERVAL) <= _LONGEST_INTERVAL:
        raise ValueError(
            f"interval {cascade.interval} is not from {_SHORTEST_INTERVAL} to {_LONGEST_INTERVAL} s"
        )
    most = size.height * size.width * len(classes)
    if not 1 <= decode.top_k <= most or not 1 <= decode.stride <= 32:
        raise ValueError(f"top_k {decode.top_k} or stride {decode.stride} is out of range")


def _check_outputs(manifest: Manifest) -> None:
    channels = {output.name: output.channels for output in manifest.outputs}
    heads = {"hm": len(manifest.classes), "wh": 2, "reg": 2}
    expected = heads if manifest.decode.place == "host" else {"detections": 6}
    if channels != expected:
        raise ValueError(
            f"outputs {channels} are not those of {len(manifest.classes)} classes with the "
            f"decoding on the {manifest.decode.place}: {expected}"
        )


def _check_file(path: Path, entry: FileEntry, mend: str) -> None:
    try:
        file = path_below(path, entry.path, inside=True)
    except ValueError as error:
        what = "the manifest names what EdgeKit cannot read, or what is outside the bundle"
        raise BundleError(f"{path}: {what}: {error}.", mend=mend) from error
    if not file.is_file():
        raise BundleError(f"{path}: {entry.path} is missing.", mend=mend)
    if file.stat().st_size != entry.size:
        raise BundleError(
            f"{path}: {entry.path} has {file.stat().st_size} bytes, and {entry.size} were written.",
            mend=mend,
        )
    if sha256_of(file) != entry.sha256:
        raise BundleError(f"{path}: {entry.path} was changed since it was written.", mend=mend)
