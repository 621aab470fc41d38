"""Formats for display values, sizes, and untrusted text, which then cannot move the cursor.

Names of files, classes and operators come from whoever made a file. Before they are printed, logged
or sent as a label, control characters are replaced by escapes: ESC by ``\\x1b``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice
from typing import Any

__all__ = [
    "as_unicode",
    "described",
    "listed",
    "plural",
    "printable",
    "printable_json",
    "printable_struct",
    "size_text",
]

_FORMATTING = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""Line separators, direction marks and other invisible characters."""

# Most commands never meet such a character: `re` compiles a pattern when it is first needed.
_HIDDEN = f"[\x00-\x1f\x7f-\x9f{_FORMATTING}\ud800-\udfff]"
_HIDDEN_IN_LINES = f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_FORMATTING}\ud800-\udfff]"
_LISTED = 50
"""Names in a list; EdgeKit itself has fewer of each kind, but packages may add thousands."""

_LONGEST = 80
"""Characters of a value that a message shows."""

_RAW_IN_JSON = f"[\x7f-\x9f{_FORMATTING}]"


def listed(names: Collection[str], between: str = ", ") -> str:
    """Returns a text with the first 50 of some names, and the number of the others."""
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return between.join(islice(names, _LISTED)) + rest


def plural(noun: str, count: float) -> str:
    """Returns a regular noun as it follows a number: ``video`` after 1, else ``videos``."""
    return noun if count == 1 else f"{noun}s"


def printable(text: str, *, lines: bool = False) -> str:
    """Returns the text with control characters replaced by escapes.

    Args:
        text: Text to show.
        lines: Whether line feeds and tabs stay, as in text with several lines.
    """
    if text.isprintable():
        return text
    return re.sub(_HIDDEN_IN_LINES if lines else _HIDDEN, _escape, text)


def printable_json(content: bytes, *, ascii_only: bool = False) -> bytes:
    """Returns equivalent JSON whose strings contain no control characters either.

    Args:
        content: JSON.
        ascii_only: Whether all characters beyond ASCII are replaced by escapes.
    """
    if content.isascii() and b"\x7f" not in content:
        return content
    hidden = "[^\x00-\x7e]" if ascii_only else _RAW_IN_JSON
    return re.sub(hidden, _escape_json, content.decode()).encode()


def as_unicode(value: Any) -> Any:
    """Returns JSON's values with texts that are Unicode: without bytes of file names that are not.

    Args:
        value: Texts, numbers, and lists and dictionaries of them.
    """
    if isinstance(value, str):
        return value if value.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, dict):
        return {as_unicode(key): as_unicode(each) for key, each in value.items()}
    return [as_unicode(each) for each in value] if isinstance(value, list | tuple) else value


def printable_struct(value: Any) -> Any:
    """Returns a msgspec struct with all its texts made printable."""
    import msgspec

    return msgspec.convert(_escaped(msgspec.to_builtins(value)), type(value))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else _escape_wide(code)


def _escape_wide(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def size_text(size: int) -> str:
    """Returns a number of bytes for people, such as 12.3 MB."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def described(value: object, *, secret: bool = False) -> str:
    """Returns what a value is, for a message: type and shape of an array, else value and type.

    Args:
        value: Value that the caller gave.
        secret: Whether it may contain a secret; only its type is then shown.
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"an array of {dtype} {shape}"
    if value is None:
        return "None"
    try:
        text = "" if secret else repr(value)
    except Exception:  # a message must not fail
        text = ""
    if not text.isprintable() or not text:
        return f"a value of type {type(value).__name__}"
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"{shown}, of type {type(value).__name__}"
