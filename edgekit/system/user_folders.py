"""Finds the folders of a user's own files, by the XDG base directory specification."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from edgekit.errors import OutputError
from edgekit.files.output_paths import output_error, writing
from edgekit.files.permissions import make_private
from edgekit.files.reading import read_regular, real_path
from edgekit.files.writing import temporary_file

__all__ = ["secret_in", "user_folder", "user_secret"]

_STATE = ("XDG_STATE_HOME", ".local/state")
_SECRET_BYTES = 32


def user_folder(variable: str, default: str, option: str, *, make: bool = True) -> Path:
    """Returns EdgeKit's folder of one kind, which only the user may enter.

    Args:
        variable: Environment variable that names the user's folder of that kind.
        default: Path of that folder below the home folder, if the variable is not set.
        option: Option that names another place, for errors; empty if there is none.
        make: Whether to create a missing folder and check that it can be written.

    Raises:
        OutputError: The user has no home folder, or EdgeKit's folder cannot be created or written.
    """
    hint = f"Set {variable} to a folder."
    if option:
        hint = f"Choose another folder: {option}; or set {variable} to a folder."
    base = os.environ.get(variable, "")
    if not Path(base).is_absolute():  # the specification says to ignore it
        base = str(_home(hint) / default)
    folder = Path(base, "edgekit")
    if not make:
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        make_private(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "you have no permission to write it")
    except OSError as error:
        raise OutputError(output_error(error, folder).message, hint=hint) from error
    return folder


def secret_in(folder: Path, bundle: Path, option: str) -> bytes:
    """Returns the key that signs files in a folder: the user's in a bundle, and none elsewhere.

    Whoever made the bundle may have filled any folder in it, and this user copied it.

    Args:
        folder: Folder of the files; it may be missing.
        bundle: Folder of the bundle.
        option: Option that names another folder, for errors.

    Raises:
        OutputError: There is no key yet, and it cannot be stored.
    """
    inside = real_path(folder).is_relative_to(real_path(bundle))
    return user_secret(option) if inside else b""


def user_secret(option: str) -> bytes:
    """Returns 32 random bytes that only this user can read; the first call stores them.

    A file that is signed with them was written by this user.

    Args:
        option: Option that makes the secret unnecessary, for errors.

    Raises:
        OutputError: There is no secret yet, and it cannot be stored.
    """
    path = user_folder(*_STATE, option, make=False) / "secret"
    with contextlib.suppress(OSError):
        content = read_regular(path, _SECRET_BYTES)
        if len(content) == _SECRET_BYTES:
            return content
    content = os.urandom(_SECRET_BYTES)
    with writing(path), temporary_file(user_folder(*_STATE, option), "") as temporary:
        temporary.write_bytes(content)
        temporary.replace(path)
    return content


def _home(hint: str) -> Path:
    home = os.environ.get("HOME", "")
    if not Path(home).is_absolute():
        try:
            import pwd

            home = pwd.getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):
            home = ""
    if home and Path(home).is_dir():
        return Path(home)
    found = f"the home folder {home} does not exist"
    if not home:
        found = f"HOME is not set, and the user {os.getuid()} is not known here"
    raise OutputError(f"EdgeKit found no folder to store its files in: {found}.", hint=hint)
