"""Numbers the releases of a service, and finds the current one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from pathlib import Path
from typing import TypedDict, cast

from edgekit.deploy.on_device.connection import DeviceError
from edgekit.deploy.on_device.store import link_to, read_file, write_file
from edgekit.deploy.on_device.unit import KEYS

__all__ = ["ReleaseFacts", "Releases"]

_FACTS = "release.json"
_SCHEMA = 1
_NUMBERED = ("schema", "number", "replaces", "created")
_KEPT = 3
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("bundle", "sha256", "target", "edgekit", "health", "service"), (str,)),
    **dict.fromkeys(("number", "created"), (int,)),
    **dict.fromkeys(("notifies", "requires_signature"), (bool,)),
    "replaces": (int, type(None)),
    "extras": (list,),
}


# Many attributes: one for each key of the file that describes a release.
class ReleaseFacts(TypedDict, total=False):
    """Facts about a release.

    Attributes:
        schema: Version of this layout.
        number: Its number, from 1.
        replaces: Number of the release before it; None for the first one.
        created: Time when it was made, in seconds since 1970.
        bundle: Name of its bundle.
        sha256: SHA-256 of the manifest of its bundle.
        target: Target of its bundle.
        edgekit: Version of EdgeKit.
        extras: Extras of EdgeKit in its environment.
        health: Address of its health page; empty if it serves none.
        service: Kind of its service: ``user``, ``system`` or ``none``.
        notifies: Whether its environment can notify systemd.
        requires_signature: Whether its service takes only a bundle that is signed by a key that
            the release holds.
    """

    schema: int
    number: int
    replaces: int | None
    created: int
    bundle: str
    sha256: str
    target: str
    edgekit: str
    extras: list[str]
    health: str
    service: str
    notifies: bool
    requires_signature: bool


class Releases:
    """Releases of one service.

    Args:
        folder: Folder of the service; it may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def link(self) -> Path:
        """Link to the current release, which may be missing."""
        return self.folder / "current"

    @property
    def data(self) -> Path:
        """Folder in which the service works."""
        return self.folder / "data"

    def current(self) -> int | None:
        """Returns the number of the current release; None if there is none.

        Raises:
            DeviceError: The link leads to something else than a release.
        """
        try:
            name = self.link.readlink().name
        except OSError:
            return None
        if not _is_number(name):
            raise DeviceError(
                f"Expected {self.link} to lead to a release, which has a number; it leads to "
                f"{name!r:.80}.",
                f"Let it lead to one of {self.folder / 'releases'}, or remove it and deploy again.",
            )
        return int(name)

    def path(self, number: int) -> Path:
        """Returns the folder of a release."""
        return self.folder / "releases" / str(number)

    def facts(self, number: int | None) -> ReleaseFacts:
        """Returns what is known of a release; nothing if there is none.

        Raises:
            DeviceError: A newer EdgeKit made it, or its facts are damaged.
        """
        path = self.path(number or 0) / _FACTS
        try:
            found = json.loads(read_file(path)[0])
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise _damaged(path, getattr(error, "strerror", None) or str(error)) from None
        if not isinstance(found, dict):
            raise _damaged(path, f"found {found!r:.80}")
        schema = found.get("schema", 0)  # those of before there was a schema have none
        if schema not in range(_SCHEMA + 1):
            raise DeviceError(
                f"Release {number} in {self.folder} has release schema {schema}; this EdgeKit "
                f"knows up to {_SCHEMA}.",
                "A newer EdgeKit deployed it. Upgrade the EdgeKit that you deploy with.",
            )
        for key, types in _TYPES.items():
            if key in found and not isinstance(found[key], types):
                raise _damaged(path, f"{key} is {found[key]!r:.80}")
        return cast(ReleaseFacts, found)

    def create(
        self, facts: ReleaseFacts, options: str | None, keys: str | None, bundle: Path, venv: Path
    ) -> int:
        """Makes a release that is not current yet; returns its number.

        Args:
            facts: Facts to keep about it, in JSON form.
            options: Content of its options file; None for that of the current release.
            keys: Public keys, one of which has to have signed its bundle; None to require no
                signature.
            bundle: Folder of its bundle.
            venv: Folder of its environment.

        Raises:
            DeviceError: No options are given, and there is no current release.
        """
        current = self.current()
        if options is None:
            options = self.options()
        number = max((int(each.name) for each in self._all()), default=0) + 1
        place = self.path(number).with_name(f".new-{number}")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, mode=0o700)
        self.data.mkdir(exist_ok=True, mode=0o700)
        (place / "bundle").symlink_to(os.path.relpath(bundle, self.path(number)))
        (place / "venv").symlink_to(os.path.relpath(venv, self.path(number)))
        write_file(place / "options.toml", options, 0o600)
        made = ReleaseFacts(number=number, replaces=current, created=int(time.time()))
        self._write(place, {**facts, **made}, keys)
        place.replace(self.path(number))
        return number

    def keys(self, number: int | None) -> str | None:
        """Returns the public keys of a release; None if it requires no signature.

        Raises:
            DeviceError: They cannot be read, or others may write to them.
        """
        if not self.facts(number).get("requires_signature"):
            return None
        path = self.path(number or 0) / KEYS
        try:
            text, mode = read_file(path)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"Cannot read the public keys {path}: {error}.",
                f"Copy them there again: scp FILE DEVICE:{path}",
            ) from None
        if mode & 0o022:
            raise DeviceError(
                f"Others may write to {path}, and so allow another key.",
                f"Let only its owner write to it: chmod go-w {shlex.quote(str(path))}",
            )
        return text

    def give_keys(self, number: int, keys: str) -> None:
        """Makes a release require a signature by one of some keys."""
        self._write(self.path(number), self.facts(number), keys)

    def options(self) -> str:
        """Returns the options of the current release.

        Raises:
            DeviceError: There is no current release, or its options cannot be read.
        """
        current = self.current()
        if current is None:
            raise DeviceError("This device has no deployment yet, so it has no options to keep.")
        return _text(self.path(current) / "options.toml")

    def equal(self, first: int, second: int) -> bool:
        """Returns whether two releases have the same options, bundle, environment and facts."""
        ours, theirs = self.path(first), self.path(second)
        for link in ("bundle", "venv"):
            if (ours / link).readlink() != (theirs / link).readlink():
                return False
        own, other = (
            {key: value for key, value in self.facts(each).items() if key not in _NUMBERED}
            for each in (first, second)
        )
        texts = [_text(place / "options.toml") for place in (ours, theirs)]
        return own == other and texts[0] == texts[1] and self.keys(first) == self.keys(second)

    def switch(self, number: int) -> None:
        """Makes a release the current one, in one step."""
        link_to(self.link, f"releases/{number}")

    def forget(self, number: int) -> None:
        """Removes a release that is not current."""
        shutil.rmtree(self.path(number), ignore_errors=True)

    def tidy(self) -> None:
        """Removes releases that are neither current nor among the last ones that were."""
        kept, number = set[int](), self.current()
        while number is not None and len(kept) < _KEPT and number not in kept:
            kept.add(number)
            try:
                number = self.facts(number).get("replaces")
            except DeviceError:  # damaged, so nobody can go back beyond it
                break
        for each in self._all():
            if int(each.name) not in kept:
                shutil.rmtree(each, ignore_errors=True)

    def used(self, link: str) -> set[str]:
        """Returns the names of the folders to which a link of the releases leads."""
        return {(each / link).readlink().name for each in self._all()}

    def _write(self, place: Path, facts: ReleaseFacts, keys: str | None) -> None:
        if keys is not None:
            write_file(place / KEYS, keys, 0o600)
            facts = {**facts, "requires_signature": True}
        text = json.dumps({**facts, "schema": _SCHEMA}, indent=2) + "\n"
        write_file(place / _FACTS, text, 0o600)

    def _all(self) -> list[Path]:
        folder = self.folder / "releases"
        return (
            [each for each in folder.iterdir() if _is_number(each.name)] if folder.is_dir() else []
        )


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _text(path: Path) -> str:
    try:
        return read_file(path)[0]
    except (OSError, ValueError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from None


def _damaged(path: Path, reason: str) -> DeviceError:
    return DeviceError(
        f"Cannot read {path}, which EdgeKit wrote: {reason}.",
        "Restore it. Or remove the folder of the service there, and deploy it again: rm -r "
        f"{shlex.quote(str(path.parents[2]))}",
    )
