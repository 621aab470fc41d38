"""Tests ``edgekit run`` on live sources that are missing at the start or at the end."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from edgekit.benchmarks.suites.support.streams import free_ports
from edgekit.cli import main
from edgekit.errors import MediaError, UsageError
from edgekit.media.sources import open_source
from edgekit.media.sources.absent import AbsentSource
from edgekit.system import backoff
from tests.waiting import LIMIT, wait_until


def lines_of(path) -> list[dict]:
    # The last line may be half written.
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def frames_of(path) -> list[dict]:
    return [line for line in lines_of(path) if line["type"] == "frame"]


@pytest.fixture
def begin(start_run, tmp_path):
    """Starts ``edgekit run`` on cameras as a process of its own, with events in e-N.jsonl."""

    def start(*places, more=()) -> subprocess.Popen[str]:
        words = [word for place in places for word in ("--source", place)]
        return start_run(*words, "--events", tmp_path / "e.jsonl", "--patience", "5", *more)

    return start


@pytest.fixture
def run(spot_bundle, capfd):
    """Runs ``edgekit run`` to its end; returns exit status, standard output and error."""

    def call(*places, more=()) -> tuple[int, str, str]:
        capfd.readouterr()
        words = [word for place in places for word in ("--source", place)]
        status = main(["run", "--bundle", str(spot_bundle), *map(str, [*words, *more])])
        return status, *capfd.readouterr()

    return call


def test_one_that_is_dead_at_the_start_runs_once_it_comes(begin, mjpeg_servers, tmp_path):
    here, late = mjpeg_servers(), mjpeg_servers()
    late.size = (200, 112)
    here.start()
    pages, figures = free_ports(1), free_ports(1)
    more = ["--video", tmp_path / "v.mkv", "--picture", tmp_path / "p.png", "--json"]
    more += ["--save-detections", tmp_path / "d.json", "--clips", tmp_path / "clips"]
    more += ["--serve", pages, "--metrics", figures]
    process = begin(here.url, late.url, more=more)
    written = [tmp_path / "e-0.jsonl", tmp_path / "e-1.jsonl"]
    wait_until(lambda: len(frames_of(written[0])) > 10)
    words = [process.stderr.readline() for _ in range(2)]  # one is the address of the page
    assert any(f"{late.url} is not there and will be opened again." in line for line in words)

    def health() -> dict:
        with urllib.request.urlopen(f"http://127.0.0.1:{pages}/health") as answer:
            return json.load(answer)

    def up() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{figures}/metrics") as answer:
            text = answer.read().decode()
        return "".join(line[-3] for line in text.splitlines() if "source_up{" in line)

    assert health()["status"] == "degraded"
    assert [source["status"] for source in health()["sources"]] == ["ok", "lost"]
    assert "refused" in health()["sources"][1]["error"]
    assert up() == "10"
    late.start()
    wait_until(lambda: len(frames_of(written[1])) > 10)
    wait_until(lambda: health()["status"] == "ok")
    assert up() == "11"
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    report = json.loads(stdout)
    assert [source["reconnects"] for source in report["sources"]] == [0, 1]
    assert not any("error" in source for source in report["sources"])
    lines = lines_of(written[1])
    # From the start of the run on: what was not there is counted as lost.
    assert (lines[1]["type"], lines[1]["reason"]) == ("gap", "reconnect")
    assert lines[1]["frames"] == lines[2]["index"] > 0
    assert lines[2]["time"] > 0
    assert lines[-1]["type"] == "end"
    videos = [cv2.VideoCapture(str(tmp_path / f"v-{number}.mkv")) for number in range(2)]
    sizes = [(video.get(3), video.get(4)) for video in videos]
    assert sizes == [(128, 96), (200, 112)]
    saved = json.loads((tmp_path / "d-1.json").read_text())
    assert [(video["width"], video["height"]) for video in saved["videos"].values()] == [(200, 112)]
    assert (saved["width"], saved["height"]) == (200, 112)
    assert (tmp_path / "p-1.png").exists()


def test_a_picture_that_a_server_shows_at_the_start_is_no_source_that_has_ended(
    begin, mjpeg_servers, tmp_path
):
    pytest.importorskip("av")
    here, late = mjpeg_servers(), mjpeg_servers()
    late.away = True
    here.start()
    late.start()
    process = begin(late.url, here.url)
    wait_until(lambda: len(frames_of(tmp_path / "e-1.jsonl")) > 5 or process.poll() is not None)
    assert f"The address of {late.url} gives a picture, and no stream." in process.stderr.readline()
    assert not frames_of(tmp_path / "e-0.jsonl")
    late.away = False
    wait_until(lambda: len(frames_of(tmp_path / "e-0.jsonl")) > 5 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 130


def test_pictures_of_web_servers_are_sources_where_no_camera_is(run, mjpeg_servers):
    servers = [mjpeg_servers() for _ in range(2)]
    for server in servers:
        server.away = True
        server.start()
    status, stdout, _ = run(*(server.url for server in servers), more=["--json"])
    assert status == 0
    assert [source["frames"] for source in json.loads(stdout)["sources"]] == [1, 1]


def test_one_that_never_comes_is_reported_at_the_end(run, mjpeg_servers, tmp_path):
    here, dead = mjpeg_servers(), mjpeg_servers()
    here.start()
    more = ["--duration", "3", "--events", tmp_path / "e.jsonl", "--video", tmp_path / "v.mkv"]
    more += ["--save-detections", tmp_path / "d.json", "--picture", tmp_path / "p.png"]
    status, stdout, _ = run(here.url, dead.url, more=[*more, "--json"])
    assert status == 3
    report = json.loads(stdout)
    assert (report["error"]["code"], report["error"]["status"]) == ("media", 3)
    assert dead.url in report["error"]["message"]
    first, second = report["sources"]
    assert "error" not in first
    assert first["frames"] > 0
    assert second["frames"] == 0
    assert "It gave no picture in the last" in second["error"]
    status, stdout, _ = run(here.url, dead.url, more=more)
    assert status == 3
    assert f"{dead.url} was not reachable when the run ended." in stdout
    assert [line["type"] for line in lines_of(tmp_path / "e-1.jsonl")[-2:]] == ["start", "end"]
    assert not [*tmp_path.glob("v-1*")]


def test_one_source_that_is_away_at_the_end_is_no_success(run, mjpeg_server):
    mjpeg_server.freezes_after = 20
    mjpeg_server.start()
    more = ["--duration", "4", "--patience", "1"]
    status, stdout, _ = run(mjpeg_server.url, more=[*more, "--json"])
    assert status == 3
    assert json.loads(stdout)["error"]["code"] == "media"
    mjpeg_server.frozen.clear()
    status, stdout, _ = run(mjpeg_server.url, more=more)
    assert status == 3
    assert "was not reachable when the run ended" in stdout


def test_a_run_that_was_interrupted_reports_it_too(begin, mjpeg_servers, tmp_path):
    here, dead = mjpeg_servers(), mjpeg_servers()
    here.start()
    process = begin(here.url, dead.url)
    wait_until(lambda: len(frames_of(tmp_path / "e-0.jsonl")) > 5)
    assert "is not there" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert f"{dead.url} was not reachable when the run ended" in stdout


def test_all_that_are_dead_are_named(run, mjpeg_servers, tmp_path):
    dead = [mjpeg_servers() for _ in range(3)]
    places = [*(server.url for server in dead), "rtsp://user:secret@127.0.0.1:1/x"]
    status, stdout, stderr = run(*places, more=["--events", tmp_path / "e.jsonl"])
    assert status == 3
    assert stderr.count("Error:") == 1
    for number, server in enumerate(dead):
        assert f"Source {number}: No picture comes from {server.url}" in stderr
    assert "Source 3: No picture comes from rtsp://127.0.0.1:1/x" in stderr
    assert "secret" not in stdout + stderr
    assert not [*tmp_path.iterdir()]


def test_with_all_or_none_a_dead_one_is_an_error_at_once(run, mjpeg_servers, tmp_path):
    here, dead = mjpeg_servers(), mjpeg_servers()
    here.start()
    more = ["--all-or-none", "--events", tmp_path / "e.jsonl"]
    status, _, stderr = run(here.url, dead.url, more=more)
    assert status == 3
    assert dead.url in stderr
    assert here.url not in stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cameras have device files")
def test_cameras_may_be_dead_and_files_may_not(run, mjpeg_servers, tmp_path):
    here = mjpeg_servers()
    here.start()
    more = ["--camera", "9999", "--duration", "1", "--json"]
    status, stdout, _ = run(here.url, more=more)
    assert status == 3
    sources = json.loads(stdout)["sources"]
    assert ["error" in source for source in sources] == [False, True]
    assert "there is no /dev/video9999" in sources[1]["error"]
    status, stdout, stderr = run(here.url, tmp_path / "nowhere.mp4", more=more)
    assert (status, stdout.count("nowhere")) == (3, 1)
    assert stderr.startswith("Error: There is no file or folder")


def test_check_names_what_is_dead(run, mjpeg_servers):
    here, dead = mjpeg_servers(), mjpeg_servers()
    here.start()
    status, stdout, _ = run(dead.url, here.url, more=["--check"])
    assert status == 0
    assert f"Not reachable: {dead.url}. " in stdout
    assert f"Ready: {here.url}, 128x96" in stdout
    status, stdout, _ = run(dead.url, here.url, more=["--check", "--json"])
    assert ["error" in found for found in json.loads(stdout)["sources"]] == [True, False]
    assert run(dead.url, here.url, more=["--check", "--all-or-none"])[0] == 3


def test_a_recording_that_was_not_there_is_never_taken_for_a_stream(spot_video):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    path = spot_video()
    handler = functools.partial(Handler, directory=path.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}/{path.name}"
        absent = AbsentSource("x", MediaError("Not there."), lambda: open_source(place))
        with pytest.raises(UsageError, match="is a recording"):
            absent.reopened()
        picture = path.with_name("away.jpg")
        cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
        place = f"http://127.0.0.1:{server.server_port}/{picture.name}"
        with pytest.raises(MediaError, match="gives a picture now"):
            absent.reopened()
        with contextlib.suppress(urllib.error.URLError):
            server.shutdown()
    with pytest.raises(MediaError, match="Not there"):
        absent.read()


def test_it_is_tried_again_after_waits_that_grow(mjpeg_servers, run, monkeypatch):
    waits = []

    def scattered(self):
        waits.append(self.seconds)
        return 0.01

    monkeypatch.setattr(backoff.Backoff, "scattered", scattered)
    here, dead = mjpeg_servers(), mjpeg_servers()
    here.start()
    assert run(here.url, dead.url, more=["--duration", "1"])[0] == 3
    assert waits[:6] == [0.5, 1, 2, 4, 8, 16]
