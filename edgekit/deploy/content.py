"""Copies files to a device, except those whose content is there already."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.bundle import MANIFEST, Bundle
from edgekit.bundle.signing.signature import SIGNATURE
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import BadInputError, BundleError
from edgekit.files.checksums import sha256_of
from edgekit.files.reading import is_there, path_below, real_path

__all__ = ["Content", "bundle_content", "content_of", "input_content", "send_content"]

_MOST_LIST, _ENTRY = (1 << 24) - 1000, 120
"""Bytes of a list of files that a device reads, and of each entry beside its path."""


@dataclass(frozen=True, slots=True)
class Content:
    """Files to copy.

    Attributes:
        kind: Store on the device: ``wheels``, ``bundles`` or ``inputs``.
        digest: SHA-256 of the list of files, which has their checksums.
        sources: File on this machine, by its path in the copy.
        files: Path, size in bytes and SHA-256 of each file.
    """

    kind: str
    digest: str
    sources: Mapping[str, Path]
    files: tuple[Mapping[str, str | int], ...]

    @property
    def size(self) -> int:
        """Size of all files, in bytes."""
        return sum(int(each["size"]) for each in self.files)


def content_of(kind: str, sources: Mapping[str, Path]) -> Content:
    """Returns the description of files to copy.

    Args:
        kind: Store on the device: ``wheels``, ``bundles`` or ``inputs``.
        sources: File on this machine, by its path in the copy.
    """
    files: tuple[dict[str, str | int], ...] = tuple(
        {"path": name, "size": path.stat().st_size, "sha256": sha256_of(path)}
        for name, path in sorted(sources.items())
    )
    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    return Content(kind, digest, sources, files)


def bundle_content(bundle: Bundle) -> Content:
    """Returns the files of a bundle that its manifest lists, the manifest and the signature.

    Other files in its folder may belong to this machine, or may be links to what nobody checked.

    Raises:
        BundleError: A file was changed since the bundle was checked.
    """
    checked = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    checked[MANIFEST] = bundle.sha256
    sources = {name: bundle.path / name for name in checked}
    with contextlib.suppress(ValueError):  # a link to what nobody checked
        if (signature := path_below(bundle.path, SIGNATURE, inside=True)).is_file():
            sources[SIGNATURE] = signature
    content = content_of("bundles", sources)
    for file in content.files:
        if checked.get(str(file["path"]), file["sha256"]) != file["sha256"]:
            raise BundleError(
                f"{bundle.path / str(file['path'])} has changed since EdgeKit verified its "
                "checksum.",
                hint="Do not change a bundle while it is deployed.",
            )
    return content


def input_content(path: Path) -> Content:
    """Returns a file, or all files below a folder, below the name of that file or folder.

    Raises:
        BadInputError: There is no such file or folder, or it has too many files.
    """
    path = real_path(path)
    if is_there(path) and path.is_dir():
        below = {f"{path.name}/{name}": file for name, file in _files_below(path)}
        if sum(len(json.dumps(name)) + _ENTRY for name in below) > _MOST_LIST:
            raise BadInputError(
                f"Expected {path} to have some 80,000 files at most, to copy them to a device; "
                f"found {len(below)}.",
                hint="Name a folder with fewer files, for example with videos in place of their "
                "pictures.",
            )
        return content_of("inputs", below)
    if not (is_there(path) and path.is_file()):
        raise BadInputError(
            f"Expected a file or a folder to copy to the device; {path} is none.",
            hint="Check the path.",
        )
    return content_of("inputs", {path.name: path})


def send_content(connection: DeviceConnection, content: Content) -> tuple[str, int]:
    """Copies to a device what it lacks; returns the folder there and the number of sent bytes.

    Args:
        connection: Connection to the device.
        content: Files to copy.

    Raises:
        HostError: The device has no space, or a file arrived damaged.
        BadInputError: A file was changed meanwhile, and cannot be sent.
    """
    kind, digest, files = content.kind, content.digest, content.files
    missing = set(connection.ask("missing", list[str], kind=kind, digest=digest, files=files))
    sizes = {str(each["path"]): int(each["size"]) for each in files if each["path"] in missing}
    for path, size in sizes.items():
        connection.send(content.sources[path], size, kind=kind, digest=digest, path=path)
    return connection.ask("finish", str, kind=kind, digest=digest, files=files), sum(sizes.values())


def _files_below(folder: Path, around: tuple[Path, ...] = ()) -> Iterator[tuple[str, Path]]:
    """Yields all files below a folder, by their paths in it; a link to a folder is followed.

    The folders of pictures of a converted dataset are such links.
    """
    here = real_path(folder)
    if here in around:  # a link to a folder that it is in
        return
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path.name, path
        elif path.is_dir():
            for name, file in _files_below(path, (*around, here)):
                yield f"{path.name}/{name}", file
