"""Asks a web server whether an address is a recording of known length, or endless."""

from __future__ import annotations

import base64
import urllib.request
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

__all__ = ["has_length"]

_LISTS = ("mpegurl", "dash+xml")
"""Parts of the content types of playlists, which only name the video."""

_LONGEST_WAIT = 5.0
"""Seconds; small web cameras serve one connection, and never answer a second one."""


def has_length(address: str, patience: float) -> bool:
    """Returns whether a web server declares the length of a video, so that the video has an end.

    Args:
        address: Address of a source; only ``http`` and ``https`` servers are asked.
        patience: Longest wait for the answer, in seconds; longer waits are cut to five. A server
            that does not answer counts as one that declares no length.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme.lower() not in ("http", "https"):
            return False
        place = parts.netloc.rpartition("@")[2]
        address = parts._replace(netloc=place).geturl()
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - http or https
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            coded = base64.b64encode(login.encode()).decode()
            request.add_header("Authorization", f"Basic {coded}")
        with _opener().open(request, timeout=min(patience, _LONGEST_WAIT)) as answer:
            kind = answer.headers.get_content_type()
            length = answer.headers.get("Content-Length", "")
            return length.isdecimal() and not any(name in kind for name in _LISTS)
    except (OSError, ValueError, HTTPException):
        return False


def _opener() -> urllib.request.OpenerDirector:
    """Returns an opener for http and https only, even after redirects."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
