"""Reads untrusted XML: no entities or document types, limited nesting and size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from xml.parsers import expat

__all__ = ["UnreadableXml", "parse"]

_DEEPEST = 32
_MOST_ELEMENTS = 250_000
_SHORTER = "Divide the video, or export it without attributes: each of them is an element too."
_ENCODINGS = ("utf-8", "utf-16", "iso-8859-1", "us-ascii")


class UnreadableXml(ValueError):
    """The text is no XML, or more than plain elements; the message says what.

    Attributes:
        hint: Advice; empty if the file has to be corrected.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def parse(
    content: bytes,
    started: Callable[[tuple[str, ...], Mapping[str, str]], None],
    ended: Callable[[tuple[str, ...], str], None],
) -> None:
    """Calls two functions for each element of a text, in its order.

    Args:
        content: XML in UTF-8, UTF-16, Latin-1 or ASCII.
        started: Function that gets the names of an element and of those around it, outermost
            first, and the attributes of the element.
        ended: Function that gets the names at the end of an element, and the text before it: all
            text of an element without others in it.

    Raises:
        UnreadableXml: The text is damaged, declares a document type, or nests too deep.
    """
    ends = content.count(b"</") + content.count(b"<\0/")  # the latter in UTF-16
    if content.count(b"<") - ends > _MOST_ELEMENTS:
        raise UnreadableXml(f"it has more than {_MOST_ELEMENTS} elements", _SHORTER)
    path: list[str] = []
    texts: list[str] = []  # since the last beginning or end of an element
    count = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal count
        count += 1
        path.append(name)
        texts.clear()
        if len(path) > _DEEPEST or count > _MOST_ELEMENTS:
            raise UnreadableXml(
                f"it nests more than {_DEEPEST} deep, or has more than {_MOST_ELEMENTS} elements"
            )
        started(tuple(path), attributes)

    def end(name: str) -> None:
        ended(tuple(path), "".join(texts).strip())
        path.pop()
        texts.clear()

    def refuse(*_: object) -> None:
        raise UnreadableXml("it declares a document type or an entity, which is not allowed here")

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        # For any other encoding, expat calls Python's codecs.
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise UnreadableXml(f"it has the encoding {encoding!r:.40}, expected UTF-8")

    parser = expat.ParserCreate()
    parser.buffer_text = True  # otherwise each line end comes on its own
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = texts.append
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.XmlDeclHandler = declared
    with contextlib.suppress(AttributeError):  # of expat before 2.4
        parser.SetReparseDeferralEnabled(False)
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise UnreadableXml(f"it is no XML ({error})") from error
