"""The examples in the documentation run, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_extension_points_work_as_documented(tmp_path, monkeypatch):
    from edgekit.models import registry

    monkeypatch.setattr(registry, "ARCHITECTURES", dict(registry.ARCHITECTURES))
    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
    for level in range(6):
        writer.write(np.full((240, 320, 3), 30 * level, np.uint8))
    writer.release()
    names: dict[str, object] = {"clip": str(clip)}
    for page, count in (("extending.md", 6), ("linking.md", 1)):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
        assert len(blocks) == count
        for block in blocks:
            exec(compile(block, f"docs/{page}", "exec"), names)
    assert names["summary"].frames == 6
    assert names["frame"].index == 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_shows_the_lines_of_the_product():
    text = (ROOT / "README.md").read_text()
    for line in (
        "make demo",
        "make test",
        "edgekit export --target jetson",
        "edgekit quantize --calib",
        "edgekit run --camera 0",
        "edgekit bench",
    ):
        assert line in text
