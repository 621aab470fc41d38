"""Parses the addresses of sources, and hides their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.media.sources.registry import SCHEMES, SOURCES

__all__ = [
    "check_address",
    "is_address",
    "lacks_scheme",
    "path_of",
    "scheme_of",
    "without_secrets",
]

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE = re.compile(r"file:(?://(?P<host>[^/]*))?(?P<path>/.*)", re.I | re.S)
_HERE = ("", "localhost", "127.0.0.1", "[::1]")
_HALF = re.compile(rf"({'|'.join(SCHEMES)}):", re.I)
_BARE = re.compile(r"[^/]*:.*@[^/]", re.S)
# Query parameters that distinguish the streams of one recorder and are no secret.
_HARMLESS = re.compile(r"(?:camera|channel|profile|stream|subtype)=[0-9]{1,3}", re.I)
_SECRET = re.compile(
    r"((?:user(?:name)?|pass(?:word|wd)?|pwd|token|secret|key|sig(?:nature)?|auth)=)[^/;]*", re.I
)


def is_address(text: str) -> bool:
    """Returns whether a source is given as an address rather than a path."""
    found = _ADDRESS.match(text)
    if found is None:
        return _HALF.match(text) is not None
    return found[1].lower() != "file"


def lacks_scheme(text: str) -> bool:
    """Returns whether text looks like an address without a scheme, ``user:password@host/path``."""
    return _BARE.match(text) is not None


def scheme_of(address: str) -> str:
    """Returns the scheme of an address, in lower case."""
    return address.partition("://")[0].lower()


def path_of(text: str) -> Path:
    """Returns a source's path: the text itself, or the path in a ``file://`` address.

    Raises:
        UsageError: The address names another host, or contains a NUL byte.
    """
    found = _FILE.fullmatch(text)
    if found is None:
        return Path(text)
    host = found["host"] or ""
    if host.lower() not in _HERE:
        raise UsageError(
            f"{parameter('source', text)} names a file on the host '{host}'; one on this machine "
            "was expected.",
            hint="Write three slashes before the path: file:///folder/video.mp4",
        )
    path = unquote(found["path"], errors="surrogateescape")
    if "\0" in path:
        raise UsageError(
            f"{parameter('source', text)} names a path with a zero byte (%00); no file has such "
            "a name.",
            hint="Write the address like file:///folder/video.mp4",
        )
    return Path(path)


def check_address(address: str) -> None:
    """Refuses text that cannot be the address of a stream.

    Raises:
        UsageError: The address has no host, or an unknown scheme.
    """
    scheme, rest = scheme_of(address), address.partition("://")[2]
    if bool(rest.strip("/")) if scheme in SCHEMES else scheme in SOURCES:
        return
    raise UsageError(
        f"{parameter('source', without_secrets(address))} is not the address of a stream. "
        f"Expected one of {', '.join(SCHEMES)}, followed by :// and a host.",
        hint="Write it like rtsp://user:password@192.168.0.64:554/stream1",
    )


def without_secrets(address: str) -> str:
    """Returns an address without user, password and query, for names, logs and errors.

    Only harmless parts of a query remain, such as a channel number. If an ``@`` follows the host,
    the password may have begun before it, so only the scheme is shown.
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        half = _HALF.match(address)
        return f"{half[0]}..." if half else "..."
    place, tail = _split(rest, "/?#")
    if "@" in tail:
        return f"{scheme}://..."
    place = place.rpartition("@")[2]
    path, query = _split(tail, "?#")
    path = _SECRET.sub(r"\1...", path)
    if not query:
        return f"{scheme}://{place}{path}"
    kept = [part for part in re.split("[?&#]", query) if _HARMLESS.fullmatch(part)]
    return f"{scheme}://{place}{path}?{'&'.join([*kept, '...'])}"


def _split(text: str, marks: str) -> tuple[str, str]:
    """Splits a text before the first of some characters."""
    end = min((place for place in map(text.find, marks) if place >= 0), default=len(text))
    return text[:end], text[end:]
