"""Tests the list of licences."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from release import inventory
from release.inventory import licence_of, licences, write_sbom

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


@pytest.mark.parametrize("needed", [False, True])
def test_the_tools_of_an_environment_are_listed_only_if_a_package_needs_them(
    needed, monkeypatch, tmp_path
):
    def part(ref, *others):
        return {"ref": ref} | ({"dependsOn": [*others]} if others else {})

    # cyclonedx-py takes the packages of extras, as of setuptools' own, for dependencies.
    numpy = part("numpy", "setuptools") if needed else part("numpy")
    bill = {
        "metadata": {"component": {"name": "edgekit-vision", "bom-ref": "root"}},
        "components": [{"name": ref, "bom-ref": ref} for ref in ("numpy", "pip", "setuptools")],
        "dependencies": [
            numpy,
            part("pip"),
            part("root", "numpy", "setuptools"),
            part("setuptools", "pip"),
        ],
    }
    lister = tmp_path / "cyclonedx-py"
    lister.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        f"pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_text({json.dumps(bill)!r})\n"
    )
    lister.chmod(0o755)
    monkeypatch.setattr(inventory, "tool", lambda name: str(tmp_path / name))
    write_sbom(tmp_path, ROOT / "pyproject.toml", tmp_path / "bill.json", 1_700_000_000)
    found = json.loads((tmp_path / "bill.json").read_text())
    if needed:
        assert [part["name"] for part in found["components"]] == ["numpy", "setuptools"]
        assert found["dependencies"] == [
            numpy,
            part("root", "numpy", "setuptools"),
            part("setuptools"),
        ]
    else:
        assert [part["name"] for part in found["components"]] == ["numpy"]
        assert found["dependencies"] == [numpy, part("root", "numpy")]


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
