"""Tests ``edgekit.bench``, called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit._progress import Progress
from edgekit.assets import default_bundle
from edgekit.errors import BundleError, EdgeKitError, OutputError, UsageError


def test_a_report_and_its_files(tmp_path: Path) -> None:
    table = tmp_path / "bench.csv"
    report = edgekit.bench(default_bundle(), rounds=1, frames=10, threads=1, csv=table)
    (row,) = report.rows
    assert row.error is None
    assert row.threads == 1
    assert {"edgekit", "onnxruntime"} <= report.machine.packages.keys()
    assert len(table.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bundles": 3}, "bundles to be a path, as a string or a path object; found 3"),
        ({"rounds": 0}, "Expected rounds to be at least 1; found 0."),
        ({"frames": "10"}, "Expected frames to be int; found '10'"),
        ({"threads": -1}, "Expected threads to be at least 0; found -1."),
        ({"arithmetic": "int8"}, "Expected arithmetic to be one of f32, f16, bf16; found 'int8'."),
        ({"fail_over": 0.1}, "fail_over needs an earlier report"),
        ({"force": True}, "force works only with compare."),
        ({"sweep": "threads=1", "threads": 2}, "threads and a sweep over threads cannot be used"),
        ({"host": "-x"}, "Expected host to be a name for ssh; found '-x'."),
        ({"host": ["a", "a"]}, "Expected each host once; a was given twice."),
        ({"host": "a", "tune": True}, "host and tune cannot be used together."),
        ({"csv": "a", "html": "a"}, "html=a is already the file of another option."),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.bench(**values)
    assert words in caught.value.message


class _Unmeasured(Progress):
    def phase(self, note: str, total: int | None = None) -> None:
        pytest.fail(f"it began: {note}")


def test_a_history_that_cannot_be_kept_is_refused_before_the_measurement(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, reason in (("nowhere/history", "there is no folder"), ("file", "not a folder")):
        with pytest.raises(OutputError, match=reason):
            edgekit.bench(default_bundle(), history=tmp_path / place, progress=_Unmeasured())


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        edgekit.bench(tmp_path)


def test_a_circular_link_is_no_source(tmp_path: Path) -> None:
    link = tmp_path / "loop"
    link.symlink_to(link)
    with pytest.raises(EdgeKitError, match="loop"):
        edgekit.bench(source=link, frames=10)


def test_a_history_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "history"):
        with pytest.raises(OutputError, match="Cannot write"):
            edgekit.bench(tmp_path / "none", history=place)
