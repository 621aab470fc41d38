"""Makes keys with OpenSSH."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_key(path: Path, comment: str = "", *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Writes a private key to a path, with its public key beside it, and returns the path."""
    words = ["-t", kind, "-C", comment, "-N", passphrase, "-f", path]
    subprocess.run(["ssh-keygen", "-q", *words], check=True)
    return path
