"""Lists what users get with EdgeKit, with licences: packages, weights and pictures."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from release.artifacts import tool

__all__ = ["licences", "write_sbom"]

_TOOLS = ("pip", "setuptools", "wheel")
"""Packages that every new environment has on some versions of Python."""


def write_sbom(environment: Path, project: Path, out: Path, time: int) -> None:
    """Writes the software bill of materials of an environment in the format CycloneDX (JSON).

    Tools of the environment that no package needs are not in it.

    Args:
        environment: Folder of the environment.
        project: EdgeKit's ``pyproject.toml``.
        out: File to write.
        time: Time in the document, in seconds since 1970.

    Raises:
        ConversionError: cyclonedx-py fails.
    """
    command = [tool("cyclonedx-py"), "environment", "--pyproject", str(project)]
    command += ["--output-reproducible", "--of", "JSON", "-o", str(out), str(environment)]
    done = subprocess.run(
        command,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(time)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConversionError(f"cyclonedx-py ended with {done.returncode}: {done.stderr[-1500:]}")
    bill = _without_tools(json.loads(out.read_text()))
    out.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n")


def _without_tools(bill: dict[str, Any]) -> dict[str, Any]:
    """Returns a bill of materials without pip and setuptools, unless another package needs them."""
    root = bill["metadata"]["component"]["bom-ref"]
    tools = {part["bom-ref"] for part in bill["components"] if part["name"] in _TOOLS}
    others = [each for each in bill["dependencies"] if each["ref"] not in {root, *tools}]
    tools -= {ref for each in others for ref in each.get("dependsOn", ())}
    kept = [part for part in bill["components"] if part["bom-ref"] not in tools]
    dependencies = []
    for each in bill["dependencies"]:
        if each["ref"] not in tools:
            needed = [ref for ref in each.get("dependsOn", ()) if ref not in tools]
            dependencies.append({"ref": each["ref"]} | ({"dependsOn": needed} if needed else {}))
    return bill | {"components": kept, "dependencies": dependencies}


def licences(sboms: Mapping[str, Path], checkout: Path) -> str:
    """Returns the list of licences as a page in Markdown.

    Args:
        sboms: Bill of materials of each installation, by the name of the installation. A package is
            listed with the first installation that has it.
        checkout: Checkout with the notices of the weights and pictures.
    """
    lines = ["# Licences", "", "EdgeKit: Apache-2.0.", "", "## Packages", ""]
    lines += ["| package | version | licence | installed with |", "| --- | --- | --- | --- |"]
    listed = set()
    for installation, path in sboms.items():
        parts = json.loads(path.read_text()).get("components", [])
        for part in sorted(parts, key=lambda part: part["name"].lower()):
            if part["name"] not in listed and part["name"] != "edgekit-vision":
                listed.add(part["name"])
                row = (
                    part["name"],
                    part.get("version", ""),
                    licence_of(part.get("licenses", [])),
                    installation,
                )
                lines.append(f"| {' | '.join(row)} |")
    lines += ["", "## Weights and pictures", ""]
    seen: dict[str, list[str]] = {}
    for notice in sorted((checkout / "edgekit/assets").rglob("NOTICE")):
        seen.setdefault(notice.read_text().strip(), []).append(
            f"`{notice.parent.relative_to(checkout)}`"
        )
    for text, folders in seen.items():
        lines += [f"{', '.join(folders)}:", "", "```text", text, "```", ""]
    return "\n".join(lines)


def licence_of(stated: Sequence[Mapping[str, str | Mapping[str, str]]]) -> str:
    """Returns the licences that a bill of materials states; ``not stated`` if it states none."""
    names = []
    for each in stated:
        licence = each.get("expression") or each.get("license", "")
        name = licence if isinstance(licence, str) else licence.get("id") or licence["name"]
        # Some packages state a classifier, such as "License :: OSI Approved :: …", or a whole text.
        name = name.strip().partition("\n")[0].rpartition(" :: ")[2]
        names.append(name.replace("|", "/")[:60])
    return ", ".join(dict.fromkeys(filter(None, names))) or "not stated"
