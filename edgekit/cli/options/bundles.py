"""Defines the option type that names a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.targets.bundle_choice import SHIPPED, bundle_named

__all__ = ["BUNDLE", "require_signature"]


class _BundleType(click.Path):
    name = "bundle"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Converts a word to the path of a folder, or to ``SHIPPED``."""
        if bundle_named(value) is SHIPPED:
            return SHIPPED
        return super().convert(value, param, ctx)


BUNDLE = _BundleType()
"""Type of an option or argument that names a bundle: a folder, or the word ``shipped``, for which
the value is ``SHIPPED``; ``./shipped`` names a folder."""

require_signature = click.option(
    "--require-signature",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File of public keys as OpenSSH writes them, one per line. EdgeKit refuses a bundle that "
    "none of them signed (edgekit sign), that was changed since, or whose signature has expired. "
    "[default: no signature is required]",
)
"""Option with the file of the keys that may have signed the bundle."""
