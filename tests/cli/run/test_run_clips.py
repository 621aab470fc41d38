"""Tests ``edgekit run CLIP``, which equals ``edgekit run --source CLIP``."""

from __future__ import annotations

import json

import pytest

from edgekit.cli import main


@pytest.fixture
def run(spot_bundle, capsys):
    """Runs the command on the first frames; returns its JSON."""

    def call(*arguments, status=0):
        words = ["run", *map(str, arguments), "--bundle", str(spot_bundle), "--max-frames", "3"]
        assert main([*words, "--threads", "1", "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return call


def test_a_clip_is_a_source(run, spot_video):
    path = spot_video(12)
    named, given = run("--source", path), run(path)
    assert named["tubes"] == given["tubes"]
    assert (given["source"], given["frames"]) == (str(path), 3)


def test_clips_and_sources_run_together_clips_first(run, spot_video):
    first, second, third = (spot_video(12, f"{name}.mp4") for name in "abc")
    found = run("--source", third, first, second)
    assert [source["source"] for source in found["sources"]] == [*map(str, (first, second, third))]


def test_a_clip_replaces_what_a_file_of_options_names(run, spot_video, tmp_path):
    path = spot_video(12)
    (tmp_path / "run.toml").write_text('source = ["/nowhere", "/neither"]\ncamera = 7\n')
    assert run("--config", tmp_path / "run.toml", path)["source"] == str(path)


@pytest.mark.parametrize(
    ("arguments", "status", "message", "hint"),
    [
        (["7"], 2, "There is no file 7 here.", "--camera 7"),
        (["{bundle}"], 2, "found the bundle", "--bundle {bundle}"),
        (["nothere.mp4"], 3, "nothere.mp4", ""),
        (["a.mp4"] * 17, 2, "takes 16 at most", ""),
        (["-", "--source", "-"], 2, "given twice", ""),
        (["clip.mp4", "--events", "clip.mp4"], 2, "is already in use", ""),
    ],
)
def test_clips_that_cannot_be(run, spot_bundle, spot_video, tmp_path, monkeypatch, arguments,
                              status, message, hint):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    spot_video(2, "clip.mp4")
    words = [text.format(bundle=spot_bundle) for text in arguments]
    error = run(*words, status=status)["error"]
    assert message in error["message"]
    assert hint.format(bundle=spot_bundle) in error["hint"]
