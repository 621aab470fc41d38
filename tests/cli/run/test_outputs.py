from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgekit.cli import main as run


def test_a_full_disk_ends_the_run_of_a_file(small_disk, spot_bundle, spot_video):
    path = small_disk / "e.jsonl"
    (small_disk / "filler").write_bytes(bytes(250_000))
    arguments = ["--bundle", str(spot_bundle), "--source", str(spot_video(60))]
    assert run(["run", *arguments, "--events", str(path)]) == 3
    text = path.read_text()
    assert text.endswith("\n")
    assert all(map(json.loads, text.splitlines()))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("100kB", 0),
        ("1.5 GB", 0),
        ("2MiB", 0),
        ("200000", 0),
        ("10", 2),
        ("-1MB", 2),
        ("big", 2),
        ("9" * 400 + "MB", 2),
    ],
)
def test_sizes_are_read_as_people_write_them(spot_bundle, spot_video, tmp_path, text, status):
    arguments = ["--bundle", str(spot_bundle), "--source", str(spot_video(2)), "--rotate", text]
    assert run(["run", *arguments, "--events", str(tmp_path / "e")]) == status


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rotate", "1MB"], "--rotate works only with --events or --video."),
        (["--rotate-keep", "2"], "--rotate-keep works only with --rotate or --video."),
        (["--clip-before", "4"], "--clip-before works only with --clips."),
        (["--clips-keep", "7d"], "--clips-keep works only with --clips."),
        (["--mqtt-ca", "ca.pem"], "--mqtt-ca works only with --mqtt."),
        (["--token", "a-long-token"], "--token works only with --serve."),
    ],
)
def test_an_option_without_the_one_that_it_belongs_to(words, said, capsys):
    assert run(["run", "clip.mp4", *words]) == 2
    assert f"{said}\nAdd --" in capsys.readouterr().err


@pytest.mark.parametrize("twice", [("7d", "12h"), ("1GB", "2GB", "7d")])
def test_two_limits_of_one_kind_for_clips(twice, tmp_path, capsys):
    words = [word for limit in twice for word in ("--clips-keep", limit)]
    assert run(["run", "clip.mp4", "--clips", str(tmp_path), *words]) == 2
    assert "--clips-keep was given twice as a size, or twice" in capsys.readouterr().err


def test_a_token_for_all_runs_of_a_machine(spot_bundle, spot_video, monkeypatch):
    monkeypatch.setenv("EDGEKIT_TOKEN", "a-long-token")
    assert run(["run", "--bundle", str(spot_bundle), "--source", str(spot_video(2))]) == 0


def test_a_reader_that_leaves_early_is_no_error(spot_bundle, spot_video):
    words = ["run", str(spot_video(300)), "--bundle", str(spot_bundle), "--events", "-"]
    command = [sys.executable, "-m", "edgekit", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"type":"start"')
        process.stdout.close()
        _, errors = process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors


_LIMITED = """
import os, resource, sys
from edgekit.cli import main
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
status = main(sys.argv[2:])
os._exit(status)
"""


@pytest.mark.parametrize("limit", [3, 4, 5])
def test_a_run_that_may_open_no_more_files_says_so(spot_bundle, spot_video, tmp_path, limit):
    words = ["run", spot_video(5), "--bundle", spot_bundle, "--video", tmp_path / "v.mp4"]
    command = [sys.executable, "-c", _LIMITED, *map(str, [limit, *words])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "open more files" in done.stderr or "Raise the limit" in done.stderr
    assert not (tmp_path / "v.mp4").exists()


@pytest.mark.parametrize("limit", range(8, 14))
def test_a_page_that_may_open_no_more_files_is_served_or_ends_the_run(
    spot_bundle, spot_video, limit
):
    pytest.importorskip("aiohttp")
    words = ["run", spot_video(5), "--bundle", spot_bundle, "--serve", "0"]
    command = [sys.executable, "-c", _LIMITED, *map(str, [limit, *words])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == (0 if "Live page: " in done.stderr else 3)
    assert "Traceback" not in done.stderr
    assert ("open more files" in done.stderr or "Raise the limit" in done.stderr) == (
        done.returncode == 3
    )


@pytest.mark.parametrize(
    ("text", "status"),
    [("2GB", 0), ("12h", 0), ("90min", 0), ("7d", 0), ("5m", 2), ("2", 2), ("0h", 2), ("-1h", 2)],
)
def test_what_may_stay_of_clips_is_a_size_or_an_age(
    spot_bundle, spot_video, tmp_path, text, status
):
    arguments = ["--bundle", str(spot_bundle), "--source", str(spot_video(2)), "--check"]
    clips = ["--clips", str(tmp_path / "clips"), "--clips-keep", text]
    assert run(["run", *arguments, *clips]) == status
