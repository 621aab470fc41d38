"""The bundle: a folder that holds all a device needs to run a detector, and nothing else.

``manifest.json`` says what the model is, how its input is made and its output read, where it came
from, and the checksum of every other file. Loading believes none of it unchecked.
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
from edgekit._files import atomic_folder
from edgekit._installed import install_line
from edgekit._reading import path_below, read_regular
from edgekit.errors import BundleError, UsageError

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
    "sha256_of",
]

ARTIFACTS = Path("artifacts")
"""The folder, in the current one, that bundles are written into unless their place is named."""

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
    """How a picture becomes the network's input: letterbox, then (u / 255 - mean) / std."""

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    colour_order: Literal["BGR"] = "BGR"
    letterbox: Literal["centre-affine"] = "centre-affine"


class CascadeSpec(_Spec, frozen=True, kw_only=True):
    """The temporal part of the input; see ``edgekit.runtime.cascade``.

    Attributes:
        interval: Seconds between the two pictures that the model was trained with. Bundles of
            EdgeKit 0.1.0 do not say; what reads them compares with the picture ``frame_gap`` back.
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
    """How boxes come out of the outputs; see ``edgekit.runtime.decode``."""

    top_k: int = 50
    stride: int = 4
    place: Place = "host"


class RoundingCheck(_Spec, frozen=True, kw_only=True):
    """What was measured between a float model and the integer model that was made from it.

    Attributes:
        frames: How many were compared.
        objects: Boxes of the truth in them.
        annotated: Whether the truth is an annotation; or else the float model's own detections.
        float_map: Frame-mAP at 0.5 of the float model, 0 to 1.
        frame_map: That of the integer model.
        agreement: Share of the float model's detections with a score over 0.3 that the integer
            model has as well: same class, IoU over 0.8.
        sqnr: Of each head, signal to rounding noise, in decibels.
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
        """What was lost of frame-mAP, as it is a share; below 0 where something was won."""
        return self.float_map - self.frame_map


class TubeCheck(_Spec, frozen=True, kw_only=True):
    """What was measured on tubes between a float model and the integer model made from it.

    Attributes:
        videos: How many were compared.
        tubes: Tubes of the truth in them.
        annotated: Whether the truth is an annotation; or else what the float model shows.
        float_map: Video-mAP at 0.5 of the float model, 0 to 1.
        video_map: That of the integer model.
    """

    videos: int
    tubes: int
    annotated: bool
    float_map: float
    video_map: float

    @property
    def drop(self) -> float:
        """What was lost of video-mAP, as it is a share; below 0 where something was won."""
        return self.float_map - self.video_map


class FineTuning(_Spec, frozen=True, kw_only=True):
    """How weights were fine-tuned for integers before they were rounded, and what that gave.

    Attributes:
        steps: Of gradient descent.
        seed: Of the frames in each.
        annotated: Whether annotations were learned from, beside the float model.
        before: The loss of the rounding network on frames that were held out, with the weights as
            they came.
        after: With the best weights of the run; ``before`` where none were better.
        used: Whether the model has them: in the target's own integers, too, they lost less.
    """

    steps: int
    seed: int
    annotated: bool
    before: float
    after: float
    used: bool


class Quantization(_Spec, frozen=True, kw_only=True):
    """How an integer model was made from a float one, and what that cost."""

    method: str
    samples: int
    kept_float: tuple[str, ...] = ()
    float_bundle: str = ""
    check: RoundingCheck | None = None
    tubes: TubeCheck | msgspec.UnsetType = msgspec.UNSET
    fine_tuning: FineTuning | msgspec.UnsetType = msgspec.UNSET


class HeadCheck(_Spec, frozen=True, kw_only=True):
    """How one output of the written file differs from PyTorch's."""

    max_difference: float
    largest: float
    cosine: float


class Verification(_Spec, frozen=True, kw_only=True):
    """What was measured between PyTorch and the written file before it was written."""

    frames: int
    heads: dict[str, HeadCheck]
    top_detections_agreeing: float
    tolerance: float


class Provenance(_Spec, frozen=True, kw_only=True):
    """Where a bundle came from."""

    checkpoint: str
    checkpoint_sha256: str
    edgekit: str
    date: str


class FileEntry(_Spec, frozen=True, kw_only=True):
    """One file of the bundle, by its path in it with forward slashes."""

    path: str
    sha256: str
    size: int


class Manifest(_Spec, frozen=True, kw_only=True):
    """All that is said about a bundle; the words are those of ``docs/bundle.md``."""

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
        path: Its folder.
        manifest: What it says of itself.
        sha256: Of the manifest, and so, through the checksums in it, of the whole.
    """

    path: Path
    manifest: Manifest
    sha256: str

    @property
    def model_path(self) -> Path:
        """The model file."""
        return self.path / self.manifest.model

    def read_model(self) -> bytes:
        """The content of the model file: that which the manifest has the checksum of.

        Raises:
            BundleError: The file was changed since the bundle was checked.
        """
        (entry,) = (entry for entry in self.manifest.files if entry.path == self.manifest.model)
        try:
            content = read_regular(self.model_path, entry.size)
        except OSError as error:
            raise BundleError(
                f"Cannot read {self.model_path}: {error.strerror}.", mend=_EXPORT_AGAIN
            ) from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(
                f"{self.model_path} was changed since it was checked.", mend=_EXPORT_AGAIN
            )
        return content

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(entry.size for entry in self.manifest.files)

    @property
    def notices(self) -> dict[str, Path]:
        """Licence and notice of the weights, by name; what is made from the bundle has them too."""
        names = (entry.path for entry in self.manifest.files)
        return {name: self.path / name for name in names if name in ("LICENSE", "NOTICE")}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def date_of_today() -> str:
    """Today, or the day of ``SOURCE_DATE_EPOCH`` where that is set, as YYYY-MM-DD.

    Raises:
        UsageError: That is no number of seconds.
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
    """Writes a bundle, whole or not at all.

    Args:
        path: Its folder.
        manifest: What to say of it; ``files`` is filled in here.
        files: For each path in the bundle, the file to copy there.
        force: Replace a bundle that is already there.

    Raises:
        OutputError: The folder is there without ``force``, or cannot be written.
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
    """Reads a bundle and checks its schema, and of every file the place, size and checksum.

    Raises:
        BundleError: It is none, is of a newer schema, or a file of it is missing, edited,
            truncated or outside its folder.
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
    """Refuses weights that no checksum covers: in files that the model names, or beside it."""
    beside = PurePosixPath(bundle.manifest.model).with_suffix(".bin").as_posix()
    listed = {entry.path for entry in bundle.manifest.files}
    if beside not in listed and (bundle.path / beside).exists():
        raise BundleError(
            f"{bundle.path}: the manifest does not list {beside}, from which weights are read.",
            mend=mend,
        )
    if names_other_files(bundle.model_path.read_bytes()):  # of which the checksum was checked
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
    """Raises ``ValueError`` where a bundle cannot have these parts."""
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
