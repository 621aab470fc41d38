"""Reads reports of ``edgekit bench`` with any schema, from files and from devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgekit import errors
from edgekit.benchmarks.report.checks import check_times
from edgekit.benchmarks.report.report import SCHEMA, Report
from edgekit.errors import BadInputError, EdgeKitError
from edgekit.files.reading import read_regular
from edgekit.files.schemas import check_schema

__all__ = ["parse_report", "read_report"]

_MOST_BYTES = 1 << 24


def read_report(path: Path, *, any_schema: bool = False) -> Report:
    """Reads the output of ``edgekit bench --json``.

    Args:
        path: File to read.
        any_schema: Whether to try a report with another schema too.

    Raises:
        BadInputError: The file is missing, is not a report, or has another schema.
    """
    hint = "Write one: edgekit bench --json > FILE"
    try:
        text = read_regular(path, _MOST_BYTES)
        content = msgspec.json.decode(text)
    except OSError as error:
        raise BadInputError(f"Cannot read {path}: {error.strerror}.", hint=hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"{path} is not JSON: {error}.", hint=hint) from error
    try:
        report = parse_report(content, place=str(path), hint=hint, any_schema=any_schema)
        check_times(report)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInputError(f"{path} is not a report of edgekit bench: {error}.", hint=hint) from (
            error
        )
    return report


def parse_report(content: object, *, place: str, hint: str, any_schema: bool = False) -> Report:
    """Returns the report that a JSON value contains.

    Args:
        content: The value; it may have an earlier schema.
        place: Words that name the report, for the error.
        hint: Advice if the value has no schema.
        any_schema: Whether to try a report with another schema too.

    Raises:
        BadInputError: The report has a newer schema or none.
        msgspec.ValidationError: The value is not a report.
    """
    schema = content.get("schema") if isinstance(content, dict) else None
    if not any_schema:
        check_schema(schema, SCHEMA, what="report", path=place, error=BadInputError, hint=hint)
    return msgspec.convert(_upgraded(content), Report)


def _upgraded(content: Any) -> object:
    """Returns a report of schema 1 as one of the present schema, and any other value as it is."""
    match content:
        case {"schema": 1, "rows": [*rows]}:
            return {**content, "schema": SCHEMA, "rows": [*map(_from_schema_1, rows)]}
    return content


def _from_schema_1(row: Any) -> object:
    """Returns a row of schema 1 as one of schema 2.

    Schema 1 has the class of a row's error as ``kind`` and its hint as ``mend``.
    """
    match row:
        case {"error": {"kind": str(kind), "mend": hint, **error}}:
            code = getattr(getattr(errors, kind, None), "code", EdgeKitError.code)
            return {**row, "error": {**error, "code": code, "hint": hint}}
    return row
