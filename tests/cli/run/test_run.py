from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from edgekit.bundle import load_bundle, save_bundle
from edgekit.cli import main as run
from edgekit.pipeline.stage_timer import STAGES
from edgekit.system import cpu_quota
from tests.waiting import wait_until


def events_of(path: Path) -> list[dict]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def of_type(events, kind):
    return [event for event in events if event["type"] == kind]


def count_frames(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def test_a_video_becomes_events_video_picture_and_detections(edgekit, spot_video, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    files = {
        "events": out / "e.jsonl",
        "video": out / "v.mp4",
        "picture": out / "p.png",
        "save_detections": out / "d.json.gz",
    }
    options = [
        text for name, path in files.items() for text in (f"--{name.replace('_', '-')}", path)
    ]
    status, stdout, stderr = edgekit("--source", spot_video(30), *options, "--json")
    assert (status, stderr) == (0, "")
    report = json.loads(stdout)
    assert (report["frames"], report["dropped"], report["interrupted"]) == (30, 0, False)
    assert report["files"] == {name: str(path) for name, path in files.items()}
    assert list(report["stages"]) == list(STAGES)
    assert report["sinks"] == [
        {"name": name, "written": 31, "lost": 0, "error": None, "last_error": None}
        for name in files
    ]
    assert report["codecs"] == {"video": "H.264"}
    assert "age" not in report
    (found,) = report["tubes"]
    assert (found["class"], found["name"], found["start"], found["end"]) == (0, "spot", 0, 29)
    events = events_of(files["events"])
    assert events[0]["classes"] == ["spot", "nothing"]
    assert [event["index"] for event in of_type(events, "frame")] == list(range(30))
    (tube,) = of_type(events, "tube")
    # The spot starts at (30, 48) and moves a pixel a frame; a box is 4 cells of 8 pixels.
    centres = np.array(tube["boxes"]).reshape(-1, 2, 2).mean(axis=1)
    assert np.abs(centres - np.stack([30 + np.arange(30), np.full(30, 48)], 1)).max() < 8
    assert events[-1]["frames"] == 30
    assert count_frames(files["video"]) == 30
    assert cv2.imread(str(files["picture"])).shape[1] == 1600
    from edgekit.metrics.detections import read_detections

    (video,) = read_detections(files["save_detections"]).videos
    assert len(video.detections) == 30
    assert video.detections[5].scores.shape[1] == 2


def test_people_get_stages_and_tubes(edgekit, spot_video):
    status, stdout, _ = edgekit("--source", spot_video(10))
    assert status == 0
    for word in (*STAGES, "p99", "spot", "10 frames", "FPS"):
        assert word in stdout


def test_events_on_standard_output_are_nothing_else(edgekit, spot_video):
    status, stdout, stderr = edgekit("--source", spot_video(10), "--events", "-")
    assert status == 0
    kinds = [json.loads(line)["type"] for line in stdout.splitlines()]
    assert kinds == ["start", *["frame"] * 10, "tube", "end"]
    assert "network" in stderr


def test_events_are_the_same_whatever_it_aims_at(edgekit, spot_video):
    found = []
    for hint in ("latency", "throughput"):
        arguments = ("--source", spot_video(40), "--events", "-", "--hint", hint, "--threads", 4)
        status, stdout, _ = edgekit(*arguments)
        assert status == 0
        found.append([json.loads(line) for line in stdout.splitlines()])
    frames = [[event for event in events if event["type"] != "end"] for events in found]
    for event in (event for events in frames for event in events):
        for key in {"ms", "time"} & event.keys() if event["type"] == "start" else {"ms"}:
            event.pop(key, None)
    assert frames[0] == frames[1]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--source", "x", "--json", "--events", "-"], "standard output"),
        (["--source", "-", "--raw-size", "640"], "640x480"),
        (["--source", ""], "is empty"),
        (["--camera", "clip.mp4"], "/dev/video0"),
        (["--camera", "99999999999"], "/dev/video0"),
        (["--source", "x", "--video", "a.mp4", "--events", "a.mp4"], "another output"),
        (["--source", "x", "--score", "2"], "0<=x<=1"),
        (["--source", "x", "--link", "nothing"], "korsal-hold"),
        (["--source", "x", "--fps", "0"], "--fps"),
        (["--source", "x", "--fps", "-5"], "--fps"),
        (["--source", "x", "--fps", "nan"], "--fps"),
        (["--source", "x", "--fps", "many"], "--fps"),
    ],
)
def test_wrong_usage_is_2(edgekit, arguments, word):
    status, _, stderr = edgekit(*arguments)
    assert status == 2
    assert word in stderr


def test_the_source_is_never_overwritten(edgekit, spot_video):
    path = spot_video(5)
    before = path.read_bytes()
    assert edgekit("--source", path, "--video", path)[0] == 2
    assert path.read_bytes() == before


def test_latest_needs_a_clock(edgekit, spot_video, tmp_path):
    events = tmp_path / "e.jsonl"
    arguments = ("--drop-policy", "latest", "--events", events)
    status, _, stderr = edgekit("--source", spot_video(5), *arguments)
    assert status == 2
    assert "--realtime" in stderr
    assert not events.exists()


@pytest.mark.skipif(Path("/dev/video0").exists(), reason="there is a camera")
def test_without_a_camera_it_says_what_to_do(edgekit):
    for arguments in ([], ["--camera", "0"]):
        status, stdout, stderr = edgekit(*arguments)
        assert (status, stdout) == (3, "")
        assert "--source" in stderr
        assert "edgekit demo" in stderr
        assert stderr.count("Error:") == 1


def test_bad_media_is_3_with_one_message_and_no_file(edgekit, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0" * 500)
    status, _, stderr = edgekit(
        "--source", path, "--events", tmp_path / "e", "--video", tmp_path / "v.mp4"
    )
    assert status == 3
    assert stderr.startswith("Error: ")
    assert "Traceback" not in stderr
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_place_that_cannot_be_written_is_3(edgekit, spot_video, tmp_path):
    (tmp_path / "file").touch()
    for option in ("--events", "--video", "--picture", "--save-detections"):
        place = tmp_path / "file" / "out.png"
        status, _, stderr = edgekit("--source", spot_video(5), option, place)
        assert status == 3
        assert stderr.count("Error:") == 1
        assert "Traceback" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_events_still_gives_the_video(edgekit, spot_video, tmp_path):
    video = tmp_path / "v.mp4"
    arguments = ("--events", "/dev/full", "--video", video)
    status, _, stderr = edgekit("--source", spot_video(9), *arguments)
    assert status == 3
    assert "No space left" in stderr
    assert stderr.count("Error:") == 1
    assert not video.exists()  # not one frame had been through


@pytest.mark.parametrize("option", ["--picture", "--save-detections", "--video"])
def test_a_full_disk_is_one_message_and_valid_events(edgekit, small_disk, spot_video, option):
    small_disk.joinpath("ballast").write_bytes(bytes(256 * 1024 - 4096))
    events = spot_video(1).with_name("e.jsonl")
    place = small_disk / "out.png" if option == "--picture" else small_disk / "out.mp4"
    source = spot_video(40, "long.mp4")
    status, _, stderr = edgekit("--source", source, option, place, "--events", events)
    assert status == 3
    assert stderr.count("Error:") == 1
    assert "No space left" in stderr
    assert "Traceback" not in stderr
    assert events_of(events)[-1]["type"] == "end"
    assert [file.name for file in small_disk.iterdir()] == ["ballast"]


def test_names_of_any_bytes(edgekit, spot_folder, tmp_path):
    folder = spot_folder([(128, 96)] * 4)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.rename(odd)
    status, stdout, _ = edgekit("--source", odd, "--json", "--picture", tmp_path / "p.png")
    assert status == 0
    assert json.loads(stdout)["source"].endswith("caf\ufffd")


def test_a_video_whose_name_is_not_text(edgekit, spot_video, tmp_path):
    clip = spot_video(4)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    assert edgekit("--source", clip, "--video", odd)[0] == 0
    assert edgekit("--source", odd)[0] == 0
    status, _, stderr = edgekit("--source", clip, "--video", odd.with_suffix(".avi"))
    assert status == 3
    assert "not UTF-8" in stderr


def test_broken_pictures_are_counted_as_gaps(edgekit, spot_folder, tmp_path, caplog):
    folder = spot_folder([(128, 96)] * 12)
    (folder / "5.png").write_bytes(b"\x89PNG\r\n")
    (folder / "11.png").write_bytes(b"")
    events, saved = tmp_path / "e.jsonl", tmp_path / "d.json"
    arguments = ("--events", events, "--save-detections", saved, "--json")
    status, stdout, _ = edgekit("--source", folder, *arguments)
    assert status == 0
    assert "5.png" in caplog.text
    report = json.loads(stdout)
    assert (report["frames"], report["dropped"], report["gaps"]) == (10, 2, 2)
    gaps = [
        (gap["index"], gap["reason"], gap["frames"]) for gap in of_type(events_of(events), "gap")
    ]
    assert gaps == [(6, "dropped", 1), (12, "dropped", 1)]
    assert json.loads(saved.read_text())["videos"]["frames"]["frames"] == 12


def test_a_cap_leaves_the_frames_it_takes_as_they_were(edgekit, spot_video, tmp_path):
    source, whole, capped, saved = spot_video(30), *(tmp_path / n for n in ("w", "c", "d.json"))
    assert edgekit("--source", source, "--events", whole)[0] == 0
    arguments = ("--fps", 10, "--events", capped, "--save-detections", saved)
    status, stdout, _ = edgekit("--source", source, *arguments, "--json")
    report = json.loads(stdout)
    assert (status, report["frames"], report["dropped"], report["gaps"]) == (0, 12, 0, 0)
    assert report["skipped"] == {"fps": 18}
    before = {frame["index"]: frame["detections"] for frame in of_type(events_of(whole), "frame")}
    events = events_of(capped)
    for frame in of_type(events, "frame"):
        assert frame["detections"] == before[frame["index"]]
    assert {gap["reason"] for gap in of_type(events, "gap")} == {"fps"}
    assert events[-1]["skipped"] == {"fps": 18}
    assert "skipped" not in events_of(whole)[-1]
    assert json.loads(saved.read_text())["videos"]["spot.mp4"]["frames"] == 30
    (tube,) = of_type(events, "tube")
    assert len(tube["boxes"]) == tube["end"] - tube["start"] + 1 > 20
    assert sum(tube["observed"]) <= 12
    assert "--fps left out 18 frames." in edgekit("--source", source, "--fps", 10)[1]


def test_a_still_video_lets_the_network_rest(edgekit, spot_folder, tmp_path):
    folder, events = spot_folder([(128, 96)] * 200), tmp_path / "e.jsonl"
    for path in folder.iterdir():
        cv2.imwrite(str(path), np.full((96, 128, 3), 60, np.uint8))
    arguments = ("--source", folder, "--motion-gate", "--events", events)
    status, stdout, _ = edgekit(*arguments, "--json")
    report = json.loads(stdout)
    assert (status, report["dropped"], report["gaps"]) == (0, 0, 0)
    assert report["frames"] + report["skipped"]["still"] == 200
    assert report["skipped"]["still"] > 80
    assert report["motion_gate"] == {"threshold": 3.0, "wakes": 0}
    gaps = of_type(events_of(events), "gap")
    assert sum(gap["frames"] for gap in gaps) == report["skipped"]["still"]
    status, stdout, _ = edgekit(*arguments)
    assert "Changes of up to 3.0 of 255 levels were noise; motion ended 0 pauses." in stdout
    status, stdout, _ = edgekit(*arguments, "--max-frames", 9)
    assert "found no time without motion" in stdout
    assert "motion_gate" not in json.loads(edgekit("--source", folder, "--json")[1])


def test_a_cap_needs_a_bundle_that_says_its_interval(spot_bundle, spot_video, tmp_path, capfd):
    bundle = load_bundle(spot_bundle)
    cascade = replace(bundle.manifest.cascade, interval=msgspec.UNSET)
    manifest = replace(bundle.manifest, cascade=cascade)
    old = save_bundle(tmp_path / "old", manifest, {"model.onnx": spot_bundle / "model.onnx"})
    arguments = ["run", "--bundle", str(old.path), str(spot_video(9))]
    for option in (["--fps", "5"], ["--motion-gate"]):
        assert run([*arguments, *option]) == 2
        assert f"{option[0]} needs the time between" in capfd.readouterr().err
    assert run(arguments) == 0


def test_pictures_that_change_size_are_a_resize(edgekit, spot_folder, tmp_path):
    folder = spot_folder([(128, 96)] * 6 + [(200, 160)] * 6)
    events, video = tmp_path / "e.jsonl", tmp_path / "v.mp4"
    status, _, _ = edgekit("--source", folder, "--events", events, "--video", video)
    assert status == 0
    (gap,) = of_type(events_of(events), "gap")
    assert (gap["index"], gap["reason"], gap["frames"]) == (6, "resize", 0)
    assert [(t["start"], t["end"]) for t in of_type(events_of(events), "tube")] == [(0, 5), (6, 11)]
    assert count_frames(video) == 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_playable_video_and_valid_events(
    spot_bundle, spot_video, tmp_path, number
):
    source = spot_video(3000)  # two minutes, of which it plays a second
    events, video, picture = tmp_path / "e.jsonl", tmp_path / "v.mp4", tmp_path / "p.png"
    code = "import sys; from edgekit.cli import main as run; sys.exit(run(sys.argv[1:]))"
    arguments = ["run", "--bundle", spot_bundle, "--source", source, "--realtime"]
    arguments += ["--events", events, "--video", video, "--picture", picture]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: events.exists() and events.read_text().count("\n") >= 12, process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "Interrupted after" in stdout
    lines = events_of(events)
    frames = of_type(lines, "frame")
    assert 11 <= len(frames) < 3000
    assert lines[-1]["type"] == "end"
    assert lines[-1]["frames"] == len(frames)
    assert [tube["end"] for tube in of_type(lines, "tube")] == [frames[-1]["index"]]
    assert count_frames(video) == len(frames)
    assert picture.exists()


def test_a_reader_that_leaves_ends_the_run_quietly(spot_bundle, spot_video):
    code = "import sys; from edgekit.cli import main; sys.exit(main())"
    arguments = ["run", "--bundle", spot_bundle, "--source", spot_video(250), "--events", "-"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=120)
    assert b"Traceback" not in stderr
    assert b"Exception" not in stderr


@pytest.fixture
def served(spot_video):
    """The URL of a web camera on loopback: a video without end, as fast as it is taken."""
    capture = cv2.VideoCapture(str(spot_video(60)))
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(cv2.imencode(".jpg", read[1])[1].tobytes())

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=b")
            self.end_headers()
            with contextlib.suppress(OSError):
                for picture in itertools.cycle(pictures):
                    head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
                    self.wfile.write(f"{head}\r\n\r\n".encode() + picture + b"\r\n")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/video"
        server.shutdown()


def test_a_stream_is_live_and_its_losses_are_counted(edgekit, served, tmp_path):
    events = tmp_path / "e.jsonl"
    arguments = ("--max-frames", 20, "--events", events, "--json")
    status, stdout, _ = edgekit("--source", served, *arguments)
    assert status == 0
    report = json.loads(stdout)
    assert report["frames"] == 20
    assert report["age"]["p50"] > 0
    lines = events_of(events)
    assert lines[-1]["age"] == report["age"]
    assert sum(gap["frames"] for gap in of_type(lines, "gap")) == report["dropped"]
    assert of_type(lines, "frame")[-1]["index"] == 19 + report["dropped"]


def test_an_output_that_fails_does_not_end_a_live_run(edgekit, served, small_disk):
    small_disk.joinpath("ballast").write_bytes(bytes(256 * 1024 - 8192))
    events = small_disk / "e.jsonl"
    arguments = ("--drop-policy", "none", "--max-frames", 60, "--events", events, "--json")
    status, stdout, stderr = edgekit("--source", served, *arguments)
    assert status == 3
    assert "Traceback" not in stderr
    report = json.loads(stdout)
    assert report["frames"] == 60
    (sink,) = report["sinks"]
    assert "No space left" in sink["error"]
    assert sink["written"] + sink["lost"] >= 61
    assert sink["lost"] > 0
    assert sink["written"] == len(events_of(events)) - 1
    events.unlink()
    status, stdout, _ = edgekit("--source", served, *arguments[:-1])
    assert status == 3
    assert "frames, gaps and tubes were lost. Cannot write" in " ".join(stdout.split())


def test_limits_and_link_reach_the_pipeline(edgekit, spot_video):
    source = spot_video(30)
    status, stdout, _ = edgekit("--source", source, "--max-frames", 7, "--json")
    assert (status, json.loads(stdout)["frames"]) == (0, 7)
    status, stdout, _ = edgekit("--source", source, "--duration", 0.4, "--json")
    assert json.loads(stdout)["frames"] == 10
    for link in ("korsal-hold", "korsal-motion"):
        status, stdout, _ = edgekit("--source", source, "--link", link, "--json")
        assert json.loads(stdout)["tubes_found"] == 1
    status, stdout, _ = edgekit("--source", source, "--delay", 1000, "--json")
    assert json.loads(stdout)["tubes_found"] == 1
    assert edgekit("--source", source, "--delay", 5, "--link", "road")[0] == 2
    status, stdout, _ = edgekit(
        "--source", source, "--max-gap", 0.5, "--delay-seconds", 1, "--json"
    )
    assert json.loads(stdout)["tubes_found"] == 1
    assert edgekit("--source", source, "--max-gap", 1, "--max-misses", 25)[0] == 2
    assert edgekit("--source", source, "--delay-seconds", 1, "--delay", 25)[0] == 2
    assert edgekit("--source", source, "--max-misses", -1)[0] == 2
    status, stdout, _ = edgekit("--source", source, "--score", 0.999, "--json")
    assert json.loads(stdout)["tubes_found"] == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others always have a display")
def test_show_needs_a_display(edgekit, spot_video, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    status, _, stderr = edgekit("--source", spot_video(3), "--show")
    assert status == 2
    assert "--video" in stderr


def test_a_cpu_quota_is_named_in_the_report(spot_bundle, spot_video, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(cpu_quota, "_GROUPS", tmp_path)
    monkeypatch.setattr(cpu_quota, "_OWN", tmp_path / "own")
    (tmp_path / "own").write_text("0::/\n")
    words = ["run", "--bundle", str(spot_bundle), str(spot_video(5))]
    for quota, told in (("25000 100000", 0.25), ("max 100000", None)):
        (tmp_path / "cpu.max").write_text(quota)
        for more in ([], [str(spot_video(5, "b.mp4"))]):
            assert run([*words, *more]) == 0
            assert ("limits this run to 0.25 cores" in capfd.readouterr().out) is (told is not None)
            assert run([*words, *more, "--json"]) == 0
            assert json.loads(capfd.readouterr().out).get("cpu_quota") == told
