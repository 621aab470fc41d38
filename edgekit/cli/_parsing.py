"""Option values that several commands read in the same way."""

from __future__ import annotations

import re

import click

__all__ = ["BYTES", "LINK", "SIZE"]


class _Size(click.ParamType[tuple[int, int]]):
    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", str(value))
        if match is None:
            self.fail(f"{value!r} is neither a side such as 256 nor HEIGHTxWIDTH.", param, ctx)
        height = int(match[1])
        width = int(match[2] or height)
        if min(height, width) < 64 or height % 32 or width % 32:
            self.fail(f"{value}: sides are multiples of 32, 64 at least.", param, ctx)
        return height, width


SIZE = _Size()
"""An input size: one side, or HEIGHTxWIDTH; multiples of 32 from 64 on."""


class _Bytes(click.ParamType[int]):
    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]?)(i?)B?", str(value), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is no size such as 100MB or 2GB.", param, ctx)
        power = " kmgt".index(match[2].lower() or " ")
        size = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
        if size < _LEAST_BYTES:
            self.fail(f"{value} is too small: 100kB at least.", param, ctx)
        return size


BYTES = _Bytes()
"""A size of files: 100MB, 1.5GB, 512MiB; 100kB at least."""

_LEAST_BYTES = 100_000

LINK = click.Choice(["edgekit", "road", "korsal-hold", "korsal-motion"])
"""``edgekit.runtime.linkers.LINKS``, which ``--help`` cannot afford to import."""
