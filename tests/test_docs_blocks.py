"""Every shell line and every Python block of the documentation runs, or says why it cannot.

A fence of ``sh`` or ``python`` is run unless the line above it is ``<!-- not run: REASON -->``.
The blocks of a page run one after the other, as a reader would run them, in a folder that holds the
files that the pages name.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pytest

from edgekit.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
REASONS = {
    "broker": "It needs an MQTT broker.",
    "hardware": "It needs a camera, a board, or another server.",
    "minutes": "It takes minutes; other tests run the command on less.",
    "network": "It fetches packages.",
    "package": "It needs a package; tests/plugins installs it and runs the lines.",
    "root": "It changes the system.",
}
SHOWN = {"caddy", "dockerfile", "ini", "json", "nginx", "text", "toml"}
"""Languages of blocks that a reader does not run."""


class Block(NamedTuple):
    """One fenced block of a page.

    Attributes:
        language: Word behind the fence.
        text: Lines in the fence.
        reason: Reason why the block is not run; None if it is.
        line: Number of its first line in the page.
        printed: Text that the page says the block prints; None if it says nothing.
    """

    language: str
    text: str
    reason: str | None
    line: int
    printed: str | None = None


def blocks_of(text: str) -> Iterator[Block]:
    """Yields the blocks of a page in order."""
    fence = r"^(?:<!-- not run: ([^\n]*) -->\n)?```([^\n]*)\n(.*?)^```$"
    for found in re.finditer(fence, text, re.S | re.M):
        reason, language, body = found.groups()
        printed = re.match(
            r"\n\nIt prints:\n\n```text\n(.*?)^```$", text[found.end() :], re.S | re.M
        )
        line = text[: found.start(3)].count("\n") + 1
        yield Block(language, body, reason, line, printed and printed[1])


def shape_of(printed: str) -> str:
    """Returns a text without its numbers, which differ from clip to clip."""
    return re.sub(r"-?\d+(\.\d+)?", "#", printed)


def faults_of(text: str) -> list[str]:
    """Returns what is wrong with the blocks of a page."""
    faults = []
    for block in blocks_of(text):
        where = f"line {block.line}: "
        if block.language not in SHOWN | {"sh", "python"}:
            faults.append(f"{where}no language that tests know: {block.language!r}")
        if block.reason is not None and block.reason not in REASONS:
            faults.append(f"{where}no reason that tests know: {block.reason!r}")
        if block.language in SHOWN and re.search(
            r"^(\$ |edgekit |pip |make |python )", block.text, re.M
        ):
            faults.append(f"{where}a command in a block that is only shown")
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    faults += [f"indented block: {line}" for line in re.findall(r"\n\n( {4}\S.*)", outside)]
    if text.count("<!-- not run") != sum(block.reason is not None for block in blocks_of(text)):
        faults.append("a mark that stands above no block")
    return faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_is_run_or_marked(page):
    assert faults_of(page.read_text()) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```\nedgekit run\n```\n", "no language"),
        ("```console\n$ edgekit run\n```\n", "no language"),
        ("```text\nedgekit run\n```\n", "only shown"),
        ("<!-- not run: mood -->\n```sh\nedgekit run\n```\n", "no reason"),
        ("<!-- not run: minutes -->\n\n```sh\nedgekit run\n```\n", "above no block"),
        ("Words:\n\n    edgekit run\n", "indented"),
    ],
)
def test_a_block_that_is_neither_is_reported(text, fault):
    assert any(fault in found for found in faults_of(text))


def write_exports(folder: Path, video: Path, truth: dict[str, Any]) -> None:
    """Writes four videos, each with an export of CVAT for it."""
    folder.mkdir()
    (entry,) = truth["videos"].values()
    labels = "".join(f"<label><name>{name}</name></label>" for name in truth["classes"])
    for number in range(1, 5):
        name = f"squat-{number}{video.suffix}"
        (folder / name).symlink_to(video)
        tracks = ""
        for tube in entry["tubes"]:
            boxes = "".join(
                f'<box frame="{frame}" outside="0" occluded="0" keyframe="1" '
                f'xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"/>'
                for frame, (x1, y1, x2, y2) in enumerate(tube["boxes"], tube["start"])
            )
            tracks += f'<track id="0" label="{truth["classes"][tube["label"]]}">{boxes}</track>'
        meta = (
            f"<task><size>{entry['frames']}</size><mode>interpolation</mode><labels>{labels}</labels>"
            f"<original_size><width>{entry['width']}</width><height>{entry['height']}</height>"
            f"</original_size><source>{name}</source></task>"
        )
        (folder / f"squat-{number}.xml").write_text(
            f"<annotations><version>1.1</version><meta>{meta}</meta>{tracks}</annotations>"
        )


@pytest.fixture(scope="session")
def material(once: Callable[..., Path], footage: Path, published: Callable[[Path], None]) -> Path:
    """The files that the pages speak of, by their names there."""

    def make(folder: Path) -> None:
        (video,) = footage.glob("*.*[!n]")
        source = cv2.VideoCapture(str(video))
        writer = cv2.VideoWriter(
            str(folder / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (640, 480)
        )
        while (read := source.read())[0]:
            writer.write(cv2.resize(read[1], (640, 480)))
        writer.release()
        source.release()
        for name in ("clips", "footage"):
            (folder / name).symlink_to(footage)
        published(folder / "model_last.pth")
        (folder / "edgekit").symlink_to(ROOT / "edgekit")  # as in a checkout
        write_exports(folder / "gym", video, json.loads((footage / "annotations.json").read_text()))

    return once("material", make)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, material, tmp_path, monkeypatch, capfd):
    blocks = [
        block
        for block in blocks_of(page.read_text())
        if block.language in ("sh", "python") and block.reason is None
    ]
    place = tmp_path / "place"
    shutil.copytree(material, place, symlinks=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    # Two processes that prepare a few samples would each take seconds to import torch.
    monkeypatch.setattr("edgekit.training.options._WORKERS", 0)
    names: dict[str, object] = {"__name__": page.stem}
    capfd.readouterr()
    for block in blocks:
        if block.language == "python":
            # On its own lines of the page, for the traceback.
            text = "\n" * (block.line - 1) + block.text
            exec(compile(text, str(page), "exec"), names)
            printed = capfd.readouterr().out
            assert block.printed is None or shape_of(printed) == shape_of(block.printed)
        else:
            for line in _lines_of(block.text):
                status = _run(line)
                assert status == 0, f"{page.name}: {line}\n{capfd.readouterr().err}"


def _lines_of(text: str) -> list[str]:
    """The lines of a block of shell; one that ends in a backslash goes on in the next."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if shlex.split(line, comments=True)]


def _run(line: str) -> int:
    """Runs a line; edgekit alone in this process, which has loaded it, and all else in bash."""
    words = shlex.split(line, comments=True)
    if words[0] == "edgekit" and not set("|&;<>$`") & set(line.split(" #")[0]):
        return main(words[1:])
    return subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=False).returncode
