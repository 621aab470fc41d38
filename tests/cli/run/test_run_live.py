from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from edgekit.cli import main as run
from edgekit.media.sinks.queued import QueuedSink
from edgekit.system import backoff
from tests.waiting import LIMIT, wait_until


def frames_in(events) -> int:
    return events.read_text().count('"frame"') if events.exists() else 0


def wait_for_frames(events, count, alive=lambda: True):
    wait_until(lambda: frames_in(events) >= count or not alive())
    assert alive()


def test_a_stream_that_is_killed_comes_back(
    mjpeg_server, spot_bundle, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(backoff, "_FIRST", 0.01)
    # A busy machine may write no event for longer than eight frames last.
    monkeypatch.setitem(QueuedSink.__init__.__kwdefaults__, "frames", 1000)
    server, events = mjpeg_server, tmp_path / "e.jsonl"
    # So that the run is not over before the third kill, however late that comes.
    server.freezes_after = 30
    server.start()

    def trouble():
        for kills in range(3):
            wait_for_frames(events, 10 * (kills + 1))
            server.kill()
            if kills == 2:
                server.freezes_after = None
            server.frozen.clear()
            server.start()

    threading.Thread(target=trouble).start()
    arguments = ["--bundle", spot_bundle, "--source", server.url, "--events", events]
    # A machine that drops frames might never get the tenth of those before the server freezes.
    arguments += ["--drop-policy", "none", "--max-frames", 150, "--patience", 600]
    status = run(["run", *map(str, arguments), "--json"])
    assert status == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["frames"], report["reconnects"]) == (150, 3)
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    gaps = [line for line in lines if line["type"] == "gap"]
    assert [gap["reason"] for gap in gaps].count("reconnect") == 3
    assert sum(gap["frames"] for gap in gaps) == report["dropped"]
    frames = [line for line in lines if line["type"] == "frame"]
    indices = [frame["index"] for frame in frames]
    assert len(set(indices)) == 150
    assert indices == sorted(indices)
    assert indices[-1] + 1 == report["frames"] + report["dropped"]
    times = [frame["time"] for frame in frames]
    assert times == sorted(times)


def test_a_camera_that_is_away_keeps_neither_its_tube_nor_its_clip_open(
    mjpeg_server, spot_images, start_run, tmp_path
):
    """It may come back after days, and a power cut meanwhile would lose them."""
    server, events, clips = mjpeg_server, tmp_path / "e.jsonl", tmp_path / "clips"
    server.images = spot_images(64)
    server.start()
    process = start_run("--source", server.url, "--events", events, "--clips", clips)

    def lines():
        whole = events.read_text().rpartition("\n")[0] if events.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    wait_until(lambda: any(line.get("tubes") for line in lines()) or process.poll() is not None)
    server.kill()
    wait_until(lambda: [*clips.glob("[0-9]*.json")] or process.poll() is not None)
    assert process.poll() is None
    kinds = [line["type"] for line in lines()]
    assert "tube" in kinds
    assert "end" not in kinds
    assert [file.with_suffix(".json").exists() for file in clips.glob("[0-9]*.mp4")] == [True]
    server.start()
    count = len(lines())
    wait_until(lambda: any(line["type"] == "gap" for line in lines()[count:]))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    told = lines()
    ended = next(place for place, line in enumerate(told) if line["type"] == "tube")
    back = next(place for place, line in enumerate(told) if line.get("reason") == "reconnect")
    assert ended < back
    assert told[ended]["end"] < told[back]["index"] - told[back]["frames"]


def test_sigterm_ends_a_run_whose_stream_is_frozen(mjpeg_server, spot_bundle, tmp_path):
    server, events = mjpeg_server, tmp_path / "e.jsonl"
    server.start()
    code = "import sys; from edgekit.cli import main; sys.exit(main())"
    arguments = ["run", "--bundle", spot_bundle, "--source", server.url, "--events", events]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments), "--patience", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_frames(events, 5, lambda: process.poll() is None)
    server.frozen.set()
    time.sleep(0.2)  # most likely it waits for a frame by then
    process.send_signal(signal.SIGTERM)
    # The read that it is in would last ten minutes.
    _, stderr = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert stderr == ""
    assert json.loads(events.read_text().splitlines()[-1])["type"] == "end"


def test_a_stream_that_is_not_there_at_the_start_is_an_error_at_once(mjpeg_server, spot_bundle):
    arguments = ["--bundle", str(spot_bundle), "--source", mjpeg_server.url]
    assert run(["run", *arguments]) == 3


@pytest.fixture
def old_bundle(spot_bundle, tmp_path):
    """A bundle of the first schema, without the interval."""
    old = tmp_path / "old"
    shutil.copytree(spot_bundle, old)
    manifest = json.loads((old / "manifest.json").read_text())
    assert manifest["cascade"].pop("interval") == 0.04
    (old / "manifest.json").write_text(json.dumps(manifest))
    return old


@pytest.mark.parametrize("policy", ["none", "latest"])
def test_a_bundle_without_an_interval_warns_where_frames_of_a_file_may_be_dropped(
    old_bundle, spot_video, caplog, policy
):
    source = str(spot_video(8))
    arguments = ["run", "--bundle", str(old_bundle), "--source", source, "--realtime"]
    assert run([*arguments, "--drop-policy", policy]) == 0
    assert ("does not contain the time between" in caplog.text) == (policy == "latest")


def test_a_bundle_that_says_no_interval_runs_on_a_stream_and_says_so(
    mjpeg_server, spot_bundle, old_bundle, capfd, caplog
):
    mjpeg_server.start()
    for bundle, says_it in ((old_bundle, False), (spot_bundle, True)):
        caplog.clear()
        arguments = ["run", "--bundle", bundle, "--source", mjpeg_server.url, "--max-frames", "5"]
        assert run([*map(str, arguments), "--drop-policy", "none", "--json"]) == 0
        report = json.loads(capfd.readouterr().out)
        assert (report["frames"], report["dropped"], report["taken"]) == (5, 0, 1.0)
        warned = f"The bundle {bundle} does not contain the time between" in caplog.text
        assert warned != says_it
