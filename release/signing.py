"""Writes the hashes of a release's files, and signs them with the maintainer's SSH key."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import BadInputError
from edgekit.files.checksums import sha256_of

__all__ = ["HASHES", "NAMESPACE", "sign", "write_hashes"]

HASHES = "SHA256SUMS"
"""Name of the file of hashes, in the format of ``sha256sum``."""

NAMESPACE = "edgekit-release"
"""Purpose in the signature, so that a signature of something else does not pass for this one."""


def write_hashes(files: Sequence[Path], folder: Path) -> Path:
    """Writes the file of hashes into a folder, and returns its path."""
    path = folder / HASHES
    lines = [f"{sha256_of(file)}  {file.name}\n" for file in sorted(files)]
    path.write_text("".join(lines))
    return path


def sign(path: Path, key: Path) -> Path:
    """Signs a file with ``ssh-keygen``.

    Args:
        path: File to sign.
        key: Private key, or public key whose private key an SSH agent holds.

    Returns:
        Path of the signature, which is a file beside the signed one.

    Raises:
        BadInputError: The key is missing, readable by others, or not a key.
    """
    signature = path.with_name(f"{path.name}.sig")
    signature.unlink(missing_ok=True)
    command = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(path)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode or not signature.exists():
        said = done.stderr.strip().rpartition("\n")[2]
        raise BadInputError(
            f"Expected an SSH key that can sign; ssh-keygen says of {key}: {said}",
            hint="Name a private key, or the .pub file of a key that your SSH agent holds.",
        )
    return signature
