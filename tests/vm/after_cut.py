"""Reads what a run has left on a disk whose power was cut."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import NamedTuple

import av

from tests.vm.cache import command


class Found(NamedTuple):
    """What is on the disk.

    Attributes:
        lines: Whole lines of the events, parsed.
        invalid: Number of whole lines without NUL bytes that are no JSON.
        old_nul: Number of lines with NUL bytes before the last run's start, which it should have
            removed.
        new_nul: Number of NUL bytes after it.
        tail: Bytes of an unfinished last line.
        videos: Duration in seconds of the video of each run, the newest first.
        clips: Number of clips, all of which play.
        waiting: Number of MQTT messages that wait.
    """

    lines: list[dict[str, object]]
    invalid: int
    old_nul: int
    new_nul: int
    tail: int
    videos: list[float]
    clips: int
    waiting: int


def examine(image: Path, folder: Path) -> Found:
    """Repairs a copy of a file system as a boot does, and reads all files.

    Args:
        image: File system (ext4) as the cut has left it.
        folder: Folder for the copy; it is emptied first.

    Raises:
        RuntimeError: The file system is damaged beyond its journal.
        av.error.FFmpegError: A video cannot be played to its end.
        AssertionError: Another file cannot be read.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = folder / "copy.img"
    command("cp", "--sparse=always", image, copy)
    checked = subprocess.run(["e2fsck", "-fp", copy], capture_output=True, text=True)
    if checked.returncode > 1:
        raise RuntimeError(f"e2fsck: status {checked.returncode}\n{checked.stdout}")
    command("debugfs", "-R", f"rdump / {folder}", copy)
    raw = (folder / "events.jsonl").read_bytes()
    *texts, tail = raw.split(b"\n")
    lines, invalid, nul = [], 0, []
    last_start = 0
    for number, text in enumerate(texts):
        if b"\0" in text:
            nul.append(number)
            continue
        try:
            event = json.loads(text)
        except ValueError:
            invalid += 1
            continue
        lines.append(event)
        last_start = number if event["type"] == "start" else last_start
    names = ["video.mkv", *(f"video.{number}.mkv" for number in range(1, 6))]
    return Found(
        lines,
        invalid,
        sum(number < last_start for number in nul),
        sum(texts[number].count(0) for number in nul if number > last_start) + tail.count(0),
        len(tail),
        [_duration(folder / name) for name in names if (folder / name).exists()],
        _clips(folder / "clips"),
        _waiting(folder / "mqtt.db"),
    )


def _duration(path: Path) -> float:
    """Plays a video to its end; returns the time of its last frame, 0 for an empty file."""
    last = 0.0
    if path.stat().st_size:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                last = float(frame.time or 0)
    return last


def _clips(folder: Path) -> int:
    """Plays all clips that have appeared under their final names."""
    descriptions = [path for path in folder.glob("*.json") if not path.name.startswith(".")]
    for path in descriptions:
        assert json.loads(path.read_bytes())
        assert path.with_suffix(".mp4").exists(), path
    clips = [path for path in folder.glob("*.mp4") if not path.name.startswith(".")]
    for path in clips:
        assert path.stat().st_size, f"{path} is empty"
        _duration(path)
    return len(clips)


def _waiting(path: Path) -> int:
    if not path.exists():
        return 0
    with sqlite3.connect(path) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(base.execute("SELECT COUNT(*) FROM message").fetchone()[0])
