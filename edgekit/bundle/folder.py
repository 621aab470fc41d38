"""Writes and reads the folder of a bundle, and verifies the checksum of every file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from edgekit._checks import as_path, required_path
from edgekit.bundle._external_data import names_other_files
from edgekit.bundle.manifest import MANIFEST, SCHEMA, FileEntry, Manifest, check_values
from edgekit.errors import BundleError, UsageError
from edgekit.files.checksums import sha256_of
from edgekit.files.reading import is_there, path_below, read_regular
from edgekit.files.schemas import check_schema
from edgekit.files.writing import atomic_folder

__all__ = [
    "ARTIFACTS",
    "Bundle",
    "date_of_today",
    "load_bundle",
    "read_manifest",
    "save_bundle",
]

ARTIFACTS = Path("artifacts")
"""Default folder for new bundles, within the current folder."""

_CHECK_FILE = "Check the file and its permissions.\n"
_EXPORT_AGAIN = "Export it again: edgekit export CHECKPOINT --target TARGET"
_MOST_BYTES = 1 << 22
_MOST_FILE, _MOST_BUNDLE = 1 << 28, 1 << 30


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

    def __hash__(self) -> int:
        return hash(self.sha256)

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
            BundleError: The manifest does not list the file, or it was changed since the bundle was
                checked.
        """
        path = self.path / name
        entry = next((entry for entry in self.manifest.files if entry.path == name), None)
        if entry is None:
            raise _refusal(f"Expected {path} in the bundle; the manifest does not list this file.")
        try:
            content = read_regular(path, entry.size)
        except OSError as error:
            raise _refusal(f"Cannot read {path}: {error.strerror}.", _CHECK_FILE) from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise _refusal(
                f"{path} has changed since EdgeKit verified its checksum.",
                "Do not change a bundle while it is in use.\n",
            )
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
            "Expected the environment variable SOURCE_DATE_EPOCH to be a whole number of seconds "
            f"since 1970; found {epoch!r}.",
            hint="Correct the variable, or remove it: unset SOURCE_DATE_EPOCH",
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


def read_manifest(folder: Path) -> bytes:
    """Returns the content of a bundle's manifest, unchecked.

    Args:
        folder: Folder of the bundle.

    Raises:
        OSError: There is none, or it is larger than 4 MiB.
    """
    return read_regular(folder / MANIFEST, _MOST_BYTES)


def load_bundle(
    path: Path | str, *, require_signature: str | os.PathLike[str] | None = None
) -> Bundle:
    """Reads a bundle, and checks its schema and the place, size and checksum of every file.

    Args:
        path: Folder of the bundle.
        require_signature: File of public keys, one of which must have signed the bundle. The
            signature is verified before anything of the bundle is parsed. None for no check.

    Raises:
        UsageError: ``path`` or ``require_signature`` is no path.
        BundleError: The folder is not a bundle, has a newer schema, or a file is missing, edited,
            truncated or outside the folder.
        SignatureError: The bundle has no valid signature by one of the keys.
        MissingDependencyError: The package that verifies signatures is not installed.
    """
    path = required_path("path", path)
    keys = as_path("require_signature", require_signature)
    try:
        text = read_manifest(path)
    except PermissionError as error:
        raise _refusal(f"Cannot read {path / MANIFEST}: {error.strerror}.", _CHECK_FILE) from error
    except OSError as error:
        hint = "Make one: edgekit export CHECKPOINT --target onnx"
        if isinstance(error, NotADirectoryError) and is_there(path.parent / MANIFEST):
            hint = f"Name its folder: {path.parent}"
        raise BundleError(
            f"{path} is not a bundle: a folder with {MANIFEST} was expected ({error.strerror}).",
            hint=hint,
        ) from error
    sha256 = hashlib.sha256(text).hexdigest()
    if keys is not None:
        from edgekit.bundle.signing.verification import check_signature

        check_signature(path, sha256, keys)
    manifest = _manifest(path, text)
    _check_files(path, manifest)
    bundle = Bundle(path, manifest, sha256)
    _check_weights(bundle, _checked_model(path, manifest))
    return bundle


def _checked_model(path: Path, manifest: Manifest) -> bytes:
    """Returns the content of the model, after a check of every file's checksum."""
    content = b""
    for entry in manifest.files:
        file = _located(path, entry)
        try:
            if entry.path == manifest.model:
                content = read_regular(file, entry.size)
                checksum = hashlib.sha256(content).hexdigest()
            else:
                checksum = sha256_of(file, entry.size)
        except OSError as error:  # another file may be there now
            raise _refusal(f"Cannot read {file}: {error.strerror}.", _CHECK_FILE) from error
        if checksum != entry.sha256:
            raise _refusal(
                f"{path}: {entry.path} has changed since the bundle was written: its checksum does "
                "not match."
            )
    return content


def _check_weights(bundle: Bundle, content: bytes) -> None:
    """Refuses weights that no checksum covers: in files named by the model, or beside it."""
    beside = PurePosixPath(bundle.manifest.model).with_suffix(".bin").as_posix()
    listed = {entry.path for entry in bundle.manifest.files}
    if beside not in listed and is_there(bundle.path / beside):
        reason = f"the model would read weights from {beside}, which the manifest does not list"
        raise _refusal(f"{bundle.path}: {reason}.")
    try:
        if names_other_files(content):
            reason = "keeps weights in other files. EdgeKit cannot verify those files"
            raise _refusal(f"{bundle.model_path} {reason}.")
    except OverflowError as error:
        raise _refusal(f"{bundle.model_path} has {error}.") from error


def _check_files(path: Path, manifest: Manifest) -> None:
    """Refuses a list of files without the model, or that takes too long to read."""
    names = [entry.path for entry in manifest.files]
    if manifest.model not in names:
        raise _refusal(
            f"{path}: the manifest names the model {manifest.model!r}, but does not list it among "
            "the files of the bundle."
        )
    largest, size = max(each.size for each in manifest.files), sum(e.size for e in manifest.files)
    if len(set(names)) != len(names) or largest > _MOST_FILE or size > _MOST_BUNDLE:
        raise _refusal(
            f"{path}: the manifest lists {len(names)} files, {len(set(names))} of them different, "
            f"with {size} bytes. Expected each file once, with at most {_MOST_FILE} bytes, and at "
            f"most {_MOST_BUNDLE} bytes in all."
        )


def _manifest(path: Path, text: bytes) -> Manifest:
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(f"{path / MANIFEST} is not JSON: {error}.") from error
    if isinstance(raw, dict) and "schema" in raw:
        check_schema(
            raw["schema"], SCHEMA, what="bundle", path=path, error=BundleError, hint=_EXPORT_AGAIN
        )
    try:
        manifest = msgspec.convert(raw, Manifest)
        check_values(manifest)
    except (msgspec.ValidationError, ValueError) as error:
        raise _refusal(f"{path / MANIFEST} is not a manifest: {error}.") from error
    return manifest


def _located(path: Path, entry: FileEntry) -> Path:
    """Returns the path of a file of a bundle, which is inside its folder and of the right size."""
    try:
        file = path_below(path, entry.path, inside=True)
    except ValueError as error:
        what = "the manifest names what EdgeKit cannot read, or what is outside the bundle"
        raise _refusal(f"{path}: {what}: {error}.") from error
    status = None
    with contextlib.suppress(OSError):
        status = file.stat()
    if status is None or not stat.S_ISREG(status.st_mode):
        raise _refusal(f"{path}: {entry.path} is missing.")
    if status.st_size != entry.size:
        reason = f"has {status.st_size} bytes; the manifest says {entry.size}"
        raise _refusal(f"{path}: {entry.path} {reason}.")
    return file


def _refusal(message: str, advice: str = "") -> BundleError:
    return BundleError(message, hint=f"{advice}{_EXPORT_AGAIN}")
