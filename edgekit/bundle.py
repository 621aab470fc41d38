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

from edgekit._files import atomic_folder
from edgekit.errors import BundleError

__all__ = [
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
    "Verification",
    "date_of_today",
    "load_bundle",
    "save_bundle",
    "sha256_of",
]

MANIFEST = "manifest.json"
SCHEMA = 1

Place = Literal["host", "graph"]


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
    """The temporal part of the input; see ``edgekit.runtime.cascade``."""

    kind: Literal["ssim", "ssim-shifted", "dssim", "rgb"] = "ssim"
    frame_gap: int = 1
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
        """What was lost, in points of frame-mAP; below 0 where something was won."""
        return 100 * (self.float_map - self.frame_map)


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
    """Today, or the day of ``SOURCE_DATE_EPOCH`` where that is set, as YYYY-MM-DD."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return time.strftime("%Y-%m-%d", time.gmtime(int(epoch) if epoch else None))


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
    with atomic_folder(path, force=force) as temporary:
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
    mend = "Export it again: edgekit export CHECKPOINT --target TARGET"
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} is not a bundle: a folder with {MANIFEST} was expected ({error.strerror}).",
            mend="Make one: edgekit export CHECKPOINT --target onnx",
        ) from error
    manifest = _manifest(path, text, mend)
    if manifest.model not in {entry.path for entry in manifest.files}:
        raise BundleError(f"{path}: the manifest lists no file {manifest.model!r}.", mend=mend)
    for entry in manifest.files:
        _check_file(path, entry, mend)
    return Bundle(path, manifest, hashlib.sha256(text).hexdigest())


def _manifest(path: Path, text: bytes, mend: str) -> Manifest:
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path / MANIFEST} is not JSON: {error}.", mend=mend) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(
            f"{path} has bundle schema {schema}; this EdgeKit knows up to {SCHEMA}.",
            mend="Upgrade EdgeKit: pip install -U edgekit",
        )
    try:
        manifest = msgspec.convert(raw, Manifest)
        _check_values(manifest)
    except (msgspec.ValidationError, ValueError) as error:
        raise BundleError(f"{path / MANIFEST} is not a manifest: {error}.", mend=mend) from error
    return manifest


def _check_values(manifest: Manifest) -> None:
    size = manifest.input
    if manifest.schema != SCHEMA:
        raise ValueError(f"schema {manifest.schema} is unknown")
    if not manifest.classes:
        raise ValueError("there are no classes")
    if min(size.height, size.width) < 32 or size.height % 32 or size.width % 32:
        raise ValueError(f"input {size.height}x{size.width} is no multiple of 32")
    if min(size.std) <= 0:
        raise ValueError(f"std {size.std} is not positive")
    if manifest.cascade.frame_gap < 1 or manifest.decode.top_k < 1 or manifest.decode.stride < 1:
        raise ValueError("frame_gap, top_k and stride are at least 1")


def _check_file(path: Path, entry: FileEntry, mend: str) -> None:
    pure = PurePosixPath(entry.path)
    file = path / pure
    inside = not pure.is_absolute() and ".." not in pure.parts and "\\" not in entry.path
    if not inside or not file.resolve().is_relative_to(path.resolve()):
        raise BundleError(f"{path}: the manifest names {entry.path!r}, outside the bundle.")
    if not file.is_file():
        raise BundleError(f"{path}: {entry.path} is missing.", mend=mend)
    if file.stat().st_size != entry.size:
        raise BundleError(
            f"{path}: {entry.path} has {file.stat().st_size} bytes, and {entry.size} were written.",
            mend=mend,
        )
    if sha256_of(file) != entry.sha256:
        raise BundleError(f"{path}: {entry.path} was changed since it was written.", mend=mend)
