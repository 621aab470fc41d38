"""Tests the list of licences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from release.inventory import licence_of, licences

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([{"license": {"id": "MIT"}}], "MIT"),
        ([{"expression": "Apache-2.0 OR MIT"}], "Apache-2.0 OR MIT"),
        ([{"license": {"name": "BSD"}}, {"license": {"name": "BSD"}}], "BSD"),
        (
            [{"license": {"name": "Copyright (c) Somebody\n\nPermission is | ..."}}],
            "Copyright (c) Somebody",
        ),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], "BSD License"),
        ([], "not stated"),
    ],
)
def test_a_licence_is_one_short_line(stated, expected):
    assert licence_of(stated) == expected


def test_each_package_is_listed_once_and_every_notice_is_there(tmp_path):
    def sbom(name, *packages):
        parts = [{"name": each, "version": "1", "licenses": []} for each in packages]
        (tmp_path / name).write_text(json.dumps({"components": parts}))
        return tmp_path / name

    page = licences(
        {
            "the device side": sbom("device", "numpy", "edgekit-vision"),
            "the extra all": sbom("all", "torch", "numpy"),
        },
        ROOT,
    )
    assert [line for line in page.splitlines() if line.startswith("| ") and " 1 " in line] == [
        "| numpy | 1 | not stated | the device side |",
        "| torch | 1 | not stated | the extra all |",
    ]
    notices = list((ROOT / "edgekit" / "assets").rglob("NOTICE"))
    assert len(notices) == 4
    for notice in notices:
        assert notice.read_text().strip() in page
        assert f"`{notice.parent.relative_to(ROOT)}`" in page
