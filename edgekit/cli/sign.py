"""Defines the command ``edgekit sign``."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.options.shared import common_options, emit_json, stdout_console

__all__ = ["command"]


@click.command(name="sign")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    required=True,
    metavar="KEY",
    help="Private Ed25519 key: a file as ssh-keygen or openssl writes it, without a passphrase; "
    "the .pub file of a key in your SSH agent; or agent:TEXT for the agent's key with this "
    "fingerprint or comment.",
)
@click.option(
    "--valid-days",
    type=click.IntRange(1, 36500),
    metavar="DAYS",
    help="Number of days after today on which the signature expires. Devices without the right "
    "date refuse such a bundle. [default: it does not expire]",
)
@common_options
def command(bundle: Path, key: str, valid_days: int | None, as_json: bool) -> None:
    """Sign a bundle, so that devices can refuse bundles of others.

    BUNDLE is a folder. EdgeKit verifies its checksums and writes signature.json into it, in place
    of an earlier signature. edgekit run --require-signature takes the file of the public key.

    Example: edgekit sign artifacts/korsal-lite0-ucf24-onnx-fp32 --key ~/.ssh/id_ed25519
    """
    from edgekit.bundle.signing.signer import sign_bundle

    done = sign_bundle(bundle, key, valid_days=valid_days)
    expires = done.signature.expires
    if as_json:
        emit_json(
            {
                "bundle": str(done.bundle.path),
                "signature": str(done.path),
                "fingerprint": done.key.fingerprint,
                "signed": done.signature.signed.isoformat(),
                "expires": expires.isoformat() if expires else None,
            }
        )
        return
    until = f"It expires after {expires}." if expires else "It does not expire."
    console = stdout_console()
    console.print(f"{done.path}", soft_wrap=True)
    console.print(f"signed by {done.key}. {until}", soft_wrap=True)
