"""Checks the schema of a file: the version of its layout. docs/upgrades.md has the rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgekit.errors import EdgeKitError

__all__ = ["check_schema", "schema_in"]


class _Head(msgspec.Struct):
    schema: Any = None


def schema_in(content: bytes) -> object:
    """Returns the schema that a JSON object states, whatever else is in it; None if it has none."""
    try:
        found: object = msgspec.json.decode(content, type=_Head).schema
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found


def check_schema(
    found: object,
    newest: int,
    *,
    what: str,
    path: Path | str,
    error: type[EdgeKitError],
    hint: str,
    oldest: int = 1,
) -> None:
    """Raises unless this EdgeKit can read a schema.

    Args:
        found: Schema that the file states.
        newest: Newest schema that this EdgeKit reads, which is also the one that it writes.
        what: Words that name the kind of schema, such as "bundle".
        path: Path of the file, for the error.
        error: Class of the error.
        hint: Advice if the schema is none at all.
        oldest: Oldest schema that this EdgeKit reads.

    Raises:
        EdgeKitError: The file is from a newer EdgeKit, or its schema is none.
    """
    if isinstance(found, int) and oldest <= found <= newest:
        return
    if isinstance(found, int) and found > newest:
        from edgekit.system.installation import install_line

        raise error(
            f"{path} has {what} schema {found}; this EdgeKit knows up to {newest}.",
            hint=f"Upgrade EdgeKit: {install_line(upgrade=True)}",
        )
    raise error(
        f"Expected {path} to have {what} schema {newest} or older; found {found!r}.", hint=hint
    )
