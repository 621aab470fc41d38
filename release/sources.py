"""Copies the sources of a checkout, so that builds neither see nor leave other files in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edgekit.errors import BadInputError

__all__ = ["clone", "commit_of", "commit_time", "copy_sources", "git"]


def git(checkout: Path, *arguments: str) -> str:
    """Returns what git prints about a checkout.

    Raises:
        BadInputError: git fails, for example because the folder is no repository.
    """
    command = ["git", "-C", str(checkout), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise BadInputError(f"Expected a git checkout; git says of {checkout}: {reason}")
    return done.stdout


def commit_of(checkout: Path, name: str = "HEAD") -> str:
    """Returns the hash of a commit."""
    return git(checkout, "rev-parse", "--verify", f"{name}^{{commit}}").strip()


def commit_time(checkout: Path) -> int:
    """Returns the time of the newest commit, in seconds since 1970."""
    return int(git(checkout, "log", "-1", "--format=%ct"))


def clone(checkout: Path, commit: str, folder: Path) -> None:
    """Clones a checkout into a new folder, at a commit."""
    git(checkout, "clone", "-q", "--no-checkout", ".", str(folder.resolve()))
    git(folder, "checkout", "-q", "--detach", commit)


def copy_sources(checkout: Path, folder: Path) -> None:
    """Copies the files that git tracks or would add, as they are now, into a new folder.

    Permissions in the copy do not depend on the umask under which the checkout was made.
    """
    listed = git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, copy = checkout / name, folder / name
        if not source.is_symlink() and not source.exists():
            continue  # Deleted, but not committed yet.
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy, follow_symlinks=False)
        if not copy.is_symlink():
            copy.chmod(0o755 if copy.stat().st_mode & 0o100 else 0o644)
