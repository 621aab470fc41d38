"""What a web server says of a recording before it is read."""

from __future__ import annotations

import base64
import urllib.request
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

__all__ = ["tells_length"]

_LISTS = ("mpegurl", "dash+xml")
"""In the type of what only names where the video lies."""


def tells_length(address: str, patience: float) -> bool:
    """Whether a web server says how long a video is, so that it has an end.

    Args:
        address: Any; only ``http`` and ``https`` are asked.
        patience: Seconds to wait for the answer.
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
        with _opener().open(request, timeout=patience) as answer:
            kind = answer.headers.get_content_type()
            length = answer.headers.get("Content-Length", "")
            return length.isdecimal() and not any(name in kind for name in _LISTS)
    except (OSError, ValueError, HTTPException):
        return False


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https and nothing else, wherever the server sends it."""
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
