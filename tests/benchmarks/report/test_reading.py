"""Tests that reports with an earlier schema are read, and that what is no report is refused."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.benchmarks.report.reading import parse_report, read_report
from edgekit.benchmarks.report.report import SCHEMA, RowFailure
from edgekit.errors import BadInputError


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("MissingDependencyError", "missing_dependency"),
        ("OutOfRangeError", "usage"),
        ("EdgeKitError", "error"),
        ("NoSuchError", "error"),
        ("annotations", "error"),
        ("importlib", "error"),
    ],
)
def test_the_error_of_schema_1_gets_its_code_and_hint(make_report, tmp_path, kind, code):
    content = msgspec.to_builtins(make_report({"a": [1.0]}))
    content["schema"] = 1
    content["rows"][0]["error"] = {"kind": kind, "message": "No 'x'.", "mend": "Install it."}
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(content))
    report = read_report(path)
    assert report.schema == SCHEMA
    assert report.rows[0].error == RowFailure(code=code, message="No 'x'.", hint="Install it.")


@pytest.mark.parametrize(
    "error", [None, 3, {}, {"kind": 1, "mend": ""}, {"kind": "UsageError"}, {"mend": "x"}]
)
def test_an_error_that_is_none_is_refused(make_report, error):
    content = msgspec.to_builtins(make_report({"a": [1.0]}))
    content["schema"] = 1
    content["rows"] += [{**content["rows"][0], "error": error}, 3]
    with pytest.raises(msgspec.ValidationError):
        parse_report(content, place="x", hint="")


def test_the_schema_of_a_report_from_elsewhere_is_checked(make_report):
    content = msgspec.to_builtins(make_report({"a": [1.0]}))
    assert parse_report(content, place="x", hint="").rows[0].bundle == "a"
    content["schema"] = SCHEMA + 1
    with pytest.raises(BadInputError, match="x has report schema"):
        parse_report(content, place="x", hint="")
    assert parse_report(content, place="x", hint="", any_schema=True).rows[0].bundle == "a"
