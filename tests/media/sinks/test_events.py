"""Tests events when files grow, disks fill and runs are killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import OutputError
from edgekit.media.sinks import _whole_file, events
from edgekit.media.sinks._whole_file import WholeFile, make_room, older_name
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.queued import QueuedSink
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame
from edgekit.system import backoff
from tests.waiting import wait_until

INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk", "run"))
SUMMARY = RunSummary(1, 0, 1.0, {})
IMAGE = np.zeros((48, 64, 3), np.uint8)


def result_of(index):
    return FrameResult(Frame(index, index / 25, IMAGE), Detections.empty(2), [])


def lines_of(path):
    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def write(path, frames, **options):
    sink = EventsSink(path, **options)
    with contextlib.closing(sink):
        sink.start(INFO)
        for index in range(frames):
            sink.frame(result_of(index))
        sink.end(SUMMARY)


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(0, 60), rotate=st.integers(1, 3000), live=st.booleans())
def test_rotated_files_hold_every_line_once_and_start_alone(tmp_path_factory, frames, rotate, live):
    path = tmp_path_factory.mktemp("events") / "e.jsonl"
    write(path, frames, rotate=rotate, keep=1000, live=live)
    count = len(list(path.parent.iterdir()))
    files = [path, *(older_name(path, number) for number in range(1, count))][::-1]
    found = []
    for part, file in enumerate(files):
        start, *rest = lines_of(file)
        assert start["type"] == "start"
        assert start.get("part", 0) == part
        assert rest
        assert file.stat().st_size <= rotate or len(rest) == 1
        found += rest
    assert [event["type"] for event in found] == ["frame"] * frames + ["end"]
    assert [event["index"] for event in found[:-1]] == list(range(frames))


def test_the_start_of_a_run_gets_its_date_once_the_clock_is_set(tmp_path, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(*set_to, tzinfo=zone)

    set_to, seconds = (1970, 1, 1, 0, 0, 20), [500.0]
    monkeypatch.setattr(events, "datetime", Clock)
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    path = tmp_path / "e.jsonl"
    sink = EventsSink(path, live=True, rotate=300)
    sink.start(INFO)
    for index in range(3):
        sink.frame(result_of(index))
    set_to, seconds[0] = (2026, 5, 1, 12, 0, 0), 560.0
    for index in range(3, 6):
        sink.frame(result_of(index))
    sink.end(SUMMARY)
    sink.close()
    oldest = older_name(path, len([*tmp_path.iterdir()]) - 1)
    dates = [lines_of(file)[0]["time"] for file in (oldest, path)]
    assert dates == ["1970-01-01T00:00:20.000+00:00", "2026-05-01T11:59:00.000+00:00"]
    assert lines_of(path)[-1]["time"] == "2026-05-01T12:00:00.000+00:00"


def test_so_many_older_files_are_kept(tmp_path):
    path = tmp_path / "e.jsonl"
    write(path, 50, rotate=500, keep=3)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"e.jsonl", "e.1.jsonl", "e.2.jsonl", "e.3.jsonl"}
    for number in (4, 0):
        write(path, 50, rotate=500, keep=number)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_live_run_goes_on_with_the_file_and_another_replaces_it(tmp_path):
    path = tmp_path / "e.jsonl"
    write(path, 3, live=True)
    path.write_bytes(path.read_bytes() + b'{"type":"fra')
    write(path, 2, live=True)
    kinds = [event["type"] for event in lines_of(path)]
    assert kinds == ["start", *["frame"] * 3, "end", "start", *["frame"] * 2, "end"]
    write(path, 1)
    assert [event["type"] for event in lines_of(path)] == ["start", "frame", "end"]


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 200_000, b"{}\n" + b"y" * 200_000])
def test_a_cut_last_line_of_any_length_is_removed(tmp_path, content):
    path = tmp_path / "e.jsonl"
    path.write_bytes(content)
    write(path, 1, live=True)
    kept = content[: content.rfind(b"\n") + 1]
    assert path.read_bytes().startswith(kept + b'{"type":"start"')
    lines_of(path)


LINE = b'{"type":"frame","index":1}\n'


@pytest.mark.parametrize(
    ("whole", "rest"),
    [
        (b"", bytes(5000)),
        (LINE, bytes(1)),
        (9 * LINE, LINE[:7] + bytes(900)),
        (9 * LINE, bytes(4096) + LINE[9:] + LINE + LINE[:5]),
        (9 * LINE, LINE[:20] + bytes(4096) + b"\n" + 3 * LINE),
        (900 * LINE, bytes(300_000) + b"\n"),
        (9 * LINE, bytes(4096) + 90_000 * LINE),
    ],
)
def test_what_a_power_cut_leaves_is_removed(tmp_path, whole, rest):
    path = tmp_path / "e.jsonl"
    path.write_bytes(whole + rest)
    write(path, 1, live=True)
    found = path.read_bytes()
    assert found.startswith(whole + b'{"type":"start"')
    assert b"\0" not in found
    lines_of(path)


def test_files_of_a_run_are_synced_together_and_lines_last(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def note(handle):
        fsync(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)

    monkeypatch.setattr(os, "fsync", note)
    with contextlib.ExitStack() as stack:
        names = ("lines-0", "video-0", "lines-1", "video-1")
        files = {name: stack.enter_context(WholeFile(tmp_path / name)) for name in names}
        for file in files.values():
            file.sync()
        wait_until(lambda: _whole_file._SYNCER._thread is None)
        for name, file in files.items():
            file.add(bytes(100 if name.startswith("lines") else 10_000))
        files["video-1"].sync()
        wait_until(lambda: len(synced) == 4)
        assert [name[:5] for name in synced] == ["video", "video", "lines", "lines"]
        assert all(file.unsynced == 0 for file in files.values())
        files["video-0"].sync()
        files["lines-0"].add(b"x")
        files["video-0"].sync()
        wait_until(lambda: len(synced) == 5)
        assert synced[4] == "lines-0"


@pytest.mark.parametrize("live", [True, False])
def test_no_older_file_of_a_live_run_stays_unsynced(tmp_path, monkeypatch, live):
    synced, fsync = set(), os.fsync

    def note(handle):
        fsync(handle)
        synced.add(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    write(tmp_path / "e.jsonl", 30, live=live, rotate=1000)
    assert synced == ({file.stat().st_ino for file in tmp_path.iterdir()} if live else set())


def test_the_docs_read_what_a_power_cut_leaves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "events.jsonl"
    write(path, 3)
    whole = lines_of(path)
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (line,) = re.findall(r"^(grep .*events\.jsonl)", text, re.MULTILINE)
    for rest in (b"", b'{"type":"fra', bytes(4096), b'{"ty' + bytes(9), bytes(9) + b'"}\n' + LINE):
        path.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in whole) + rest)
        names = {}
        exec(code, names)
        expected = [*whole, json.loads(LINE)] if rest.endswith(LINE) else whole
        assert names["events"] == expected
        done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
        assert [json.loads(each) for each in done.stdout.splitlines()] == expected


def test_events_go_on_when_there_is_room_again(small_disk, monkeypatch):
    monkeypatch.setattr(backoff, "_FIRST", 0.01)
    monkeypatch.setattr(backoff, "_LONGEST", 0.02)
    path, filler = small_disk / "e.jsonl", small_disk / "filler"
    sink = QueuedSink(EventsSink(path, live=True), "events", live=True)
    filler.write_bytes(bytes(200_000))
    indices = itertools.count()
    with contextlib.closing(sink):
        sink.start(INFO)
        while sink.health().error in (None, "It is slower than the source."):
            sink.frame(result_of(next(indices)))
        for _ in range(100):
            sink.frame(result_of(next(indices)))
        assert "No space left" in sink.health().error
        filler.unlink()
        until = sink.health().written + 20
        while sink.health().written < until:
            sink.frame(result_of(next(indices)))
        sink.gap(Gap(0, "seek", 0))
        sink.end(SUMMARY)
    events = lines_of(path)
    assert events[-1]["type"] == "end"
    health = sink.health()
    assert health.error is None
    assert [event["type"] for event in events].count("gap") == 1
    # The frames are numbered without a break: each loss is as large as the jump over it.
    expected = lost = 0
    for event in events:
        if event["type"] == "lost":
            expected += event["events"]
            lost += event["events"]
        elif event["type"] == "frame":
            assert event["index"] == expected
            expected += 1
    assert expected == next(indices)
    assert lost == health.lost > 80


def test_a_full_disk_while_rotating_loses_no_older_file(small_disk):
    path, filler = small_disk / "e.jsonl", small_disk / "filler"
    sink = EventsSink(path, live=True, rotate=20_000, keep=3)
    sink.start(INFO)
    filler.write_bytes(bytes(200_000))
    written, failed, index = [], 0, 0
    while failed < 20:
        try:
            sink.frame(result_of(index))
            written.append(index)
        except OutputError:
            failed += 1
        index += 1
    filler.unlink()
    sink.frame(result_of(index))
    written.append(index)
    sink.close()
    files = [older_name(path, number) for number in (3, 2, 1) if older_name(path, number).exists()]
    found = [event for file in [*files, path] for event in lines_of(file)]
    assert [event["index"] for event in found if event["type"] == "frame"] == written


def test_room_is_made_step_by_step(tmp_path):
    path = tmp_path / "a.b.mkv"
    for number in range(4):
        path.write_text(str(number))
        make_room(path, 2)
        make_room(path, 2)
    found = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert found == {"a.b.1.mkv": "3", "a.b.2.mkv": "2"}


def rotate_from_outside(how, path, old):
    if how == "copy and empty":
        shutil.copy(path, old)
        os.truncate(path, 0)
    else:
        path.rename(old)
        if how == "rename and create":
            path.touch()


@pytest.mark.parametrize("how", ["copy and empty", "rename", "rename and create"])
@pytest.mark.parametrize("rotate", [None, 2000])
def test_lines_follow_a_file_that_other_programs_rotate(tmp_path, caplog, how, rotate):
    path, old = tmp_path / "e.jsonl", tmp_path / "old"
    sink = EventsSink(path, live=True, rotate=rotate, keep=100)
    sink.start(INFO)
    found, index = [], itertools.count()
    for round in range(3):
        for _ in range(20):
            sink.frame(result_of(next(index)))
        rotate_from_outside(how, path, old)
        files = [older_name(path, n) for n in range(99, 0, -1)]
        for file in [*filter(Path.exists, files), old]:
            found += lines_of(file)
            file.unlink()
        assert len(caplog.records) == round
    for _ in range(3):
        sink.frame(result_of(next(index)))
    sink.end(SUMMARY)
    sink.close()
    files = [older_name(path, n) for n in range(99, 0, -1)]
    for file in [*filter(Path.exists, files), path]:
        assert b"\0" not in file.read_bytes()
        assert lines_of(file)[0]["type"] == "start"
        found += lines_of(file)
    assert [event["index"] for event in found if event["type"] == "frame"] == [*range(63)]
    parts = [event.get("part", 0) for event in found if event["type"] == "start"]
    assert parts == [*range(len(parts))]
    assert len(caplog.records) == 3


def test_a_recorded_source_writes_on_into_the_file_that_it_began(tmp_path):
    path = tmp_path / "e.jsonl"
    sink = EventsSink(path)
    sink.start(INFO)
    path.rename(tmp_path / "old")
    sink.frame(result_of(0))
    sink.end(SUMMARY)
    sink.close()
    assert not path.exists()
    assert len(lines_of(tmp_path / "old")) == 3


@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_is_followed_and_the_file_behind_it_rotated(tmp_path, is_there):
    disk = tmp_path / "disk"
    disk.mkdir()
    link = tmp_path / "e.jsonl"
    link.symlink_to("disk/events.jsonl")
    if is_there:
        (disk / "events.jsonl").write_bytes(b"")
    write(link, 50, rotate=500, keep=1, live=True)
    assert link.is_symlink()
    assert {file.name for file in disk.iterdir()} == {"events.jsonl", "events.1.jsonl"}
    assert {file.name for file in tmp_path.iterdir()} == {"disk", "e.jsonl"}
    assert lines_of(link)[-1]["type"] == "end"


@pytest.mark.parametrize("target", ["theirs", "empty", "nowhere", "e.jsonl"])
def test_a_link_that_appears_during_the_run_is_not_followed(tmp_path, target):
    """It appears where a rotated file was, or in the place of the file."""
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    (tmp_path / "empty").touch()
    path = tmp_path / "e.jsonl"
    sink = EventsSink(path, live=True, rotate=2000)
    with contextlib.closing(sink):
        sink.start(INFO)
        for index in range(100):
            if index in (20, 50):
                path.unlink()
                path.symlink_to(target)
            with contextlib.suppress(OutputError):
                sink.frame(result_of(index))
        sink.end(SUMMARY)
    assert theirs.read_text() == "precious"
    assert (tmp_path / "empty").read_bytes() == b""
    assert not (tmp_path / "nowhere").exists()
    assert not path.is_symlink()
    assert lines_of(path)[-1]["type"] == "end"


def test_names_cannot_control_the_terminal_that_shows_the_events(tmp_path):
    name, source = "\x9b2J\u202ewalk\x7f", "走る\u2066.mp4"
    sink = EventsSink(tmp_path / "e.jsonl")
    with contextlib.closing(sink):
        sink.start(RunInfo(source, 64, 48, 25.0, None, (name, "run"), bundle=name))
        sink.frame(result_of(0))
    content = (tmp_path / "e.jsonl").read_text()
    start, frame = lines_of(tmp_path / "e.jsonl")
    assert (start["classes"], start["source"], start["bundle"]["name"]) == (
        [name, "run"],
        source,
        name,
    )
    assert frame["index"] == 0
    assert all(line.isprintable() for line in content.splitlines())
    assert "走る" in content


def test_a_pipe_that_nobody_reads_is_said_and_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_whole_file, "_READER_SECONDS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match=r"Nobody reads from the named pipe .*pipe\."):
        write(tmp_path / "pipe", 1)


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_a_link_to_a_pipe_is_a_pipe(tmp_path, live):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        write(tmp_path / "link", 1, live=live)
        assert reader.stdout.read().count(b"\n") == 3
