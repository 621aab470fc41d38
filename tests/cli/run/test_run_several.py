"""Tests ``edgekit run`` on several sources at once."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgekit.cli import main
from tests.waiting import LIMIT, wait_until


def sources(*places):
    return [word for place in places for word in ("--source", place)]


def events_of(path: Path) -> list[dict]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def frames_in(path: Path) -> int:
    return path.read_text().count('"frame"') if path.exists() else 0


def without_times(events):
    timed = {"ms", "stages", "seconds", "source_index"}
    kept = [{key: event[key] for key in event if key not in timed} for event in events]
    for event in kept:
        if event["type"] in ("start", "end"):
            del event["time"]
    return kept


def test_files_together_give_what_each_gives_alone(edgekit, spot_video, tmp_path):
    clips = [spot_video(40, "long.mp4"), spot_video(12, "short.mp4")]
    clips.append(clips[0])  # a file may be read twice
    out = tmp_path / "out"
    out.mkdir()
    options = ["--events", out / "e.jsonl", "--video", out / "v.mp4", "--clips", out / "clips"]
    options += ["--save-detections", out / "d.json.gz", "--picture", out / "p.png"]
    status, stdout, stderr = edgekit(*sources(*clips), *options, "--json")
    assert (status, stderr) == (0, "")
    report = json.loads(stdout)
    assert (report["frames"], report["interrupted"]) == (92, False)
    assert [source["frames"] for source in report["sources"]] == [40, 12, 40]
    names = {f"{name}-{n}.{end}" for n in range(3) for name, end in (("e", "jsonl"), ("v", "mp4"))}
    names |= {
        f"{name}-{n}.{end}" for n in range(3) for name, end in (("d", "json.gz"), ("p", "png"))
    }
    assert {file.name for file in out.iterdir()} == names | {"clips"}
    assert [len([*(out / "clips" / str(n)).glob("*.mp4")]) for n in range(3)] == [1, 1, 1]
    for number, clip in enumerate(clips):
        assert report["sources"][number]["files"] == {
            "events": str(out / f"e-{number}.jsonl"),
            "video": str(out / f"v-{number}.mp4"),
            "picture": str(out / f"p-{number}.png"),
            "save_detections": str(out / f"d-{number}.json.gz"),
            "clips": str(out / "clips" / str(number)),
        }
        events = events_of(out / f"e-{number}.jsonl")
        assert {event["source_index"] for event in events} == {number}
        status, stdout, _ = edgekit("--source", clip, "--events", out / "alone.jsonl", "--json")
        assert status == 0
        alone = events_of(out / "alone.jsonl")
        assert not any("source_index" in event for event in alone)
        assert without_times(events) == without_times(alone)
        assert {"schema", *report["sources"][number]} == json.loads(stdout).keys()


def test_standard_output_gets_whole_lines_of_all(edgekit, spot_video):
    clips = [spot_video(30, "a.mp4"), spot_video(20, "b.mp4")]
    status, stdout, stderr = edgekit(*sources(*clips), "--events", "-")
    assert status == 0
    assert "2 sources" in stderr
    events = [json.loads(line) for line in stdout.splitlines()]
    for number, (clip, frames) in enumerate(zip(clips, (30, 20), strict=True)):
        own = [event for event in events if event["source_index"] == number]
        kinds = [event["type"] for event in own]
        assert kinds == ["start", *["frame"] * frames, "tube", "end"]
        assert own[0]["source"] == str(clip)


def test_people_get_a_line_for_each(edgekit, spot_video):
    status, stdout, _ = edgekit(*sources(spot_video(10, "a.mp4"), spot_video(5, "b.mp4")))
    assert status == 0
    assert "15 frames of 2 sources" in stdout


def test_one_that_fails_leaves_the_others_going(spot_bundle, spot_video, tmp_path):
    video, events = spot_video(60), tmp_path / "e.jsonl"
    command = [sys.executable, "-m", "edgekit", "run", "--bundle", spot_bundle, "--json"]
    command += [*sources("-", video), "--events", events]
    frame = b"FRAME\n" + bytes(6)
    pipe = b"YUV4MPEG2 W2 H2 F25:1 C420jpeg\n" + 3 * frame + b"RUBBISH\n"
    done = subprocess.run([*map(str, command)], input=pipe, capture_output=True)
    assert done.returncode == 3
    words = done.stderr.decode()
    assert words.startswith("Source 0, standard input, has failed. ")
    assert "Traceback" not in words
    report = json.loads(done.stdout)
    assert [source["frames"] for source in report["sources"]] == [3, 60]
    assert ["error" in source for source in report["sources"]] == [True, False]
    ends = [events_of(tmp_path / f"e-{number}.jsonl")[-1] for number in range(2)]
    assert [end["type"] for end in ends] == ["end", "end"]
    assert "the word FRAME was expected" in ends[0]["error"]
    assert "error" not in ends[1]


def test_an_output_that_is_not_there_was_not_written(spot_bundle, spot_video, tmp_path):
    names = {"video": "v.mp4", "picture": "p.png", "save_detections": "d.json"}
    command = [sys.executable, "-m", "edgekit", "run", "--bundle", spot_bundle, "--json"]
    command += sources(spot_video(30), spot_video(5, "short.mp4"))
    for name, file in names.items():
        command += [f"--{name.replace('_', '-')}", tmp_path / file]
    (tmp_path / "p-0.png").write_text("of an earlier run")
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)),
    )
    assert done.returncode == 3
    for source in json.loads(done.stdout)["sources"]:
        assert source["files"] == {}
        for sink in source["sinks"]:
            assert sink["written"] == 0
            assert names[sink["name"]].split(".")[0] in sink["error"]
            assert "File too large" in sink["error"]
    assert not {file.name for file in tmp_path.iterdir()} & {"v-0.mp4", "p-1.png", "d-0.json"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(spot_bundle, spot_video, tmp_path, number):
    clips = [spot_video(3000, "a.mp4"), spot_video(3000, "b.mp4")]
    command = [sys.executable, "-m", "edgekit", "run", "--bundle", spot_bundle, "--realtime"]
    command += [*sources(*clips), "--events", tmp_path / "e.jsonl", "--video", tmp_path / "v.mp4"]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    written = [tmp_path / f"e-{n}.jsonl" for n in range(2)]
    wait_until(lambda: all(frames_in(path) > 10 for path in written))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert stderr == b""
    assert b"Interrupted after" in stdout
    for number, path in enumerate(written):
        events = events_of(path)
        assert events[-1]["type"] == "end"
        assert 10 < events[-1]["frames"] < 3000
        assert (tmp_path / f"v-{number}.mp4").exists()


def test_a_stream_that_is_lost_comes_back_while_a_file_goes_on(
    edgekit, mjpeg_server, spot_video, tmp_path
):
    server, path = mjpeg_server, tmp_path / "e-1.jsonl"
    server.start()

    def trouble():
        wait_until(lambda: frames_in(path) > 5)
        server.kill()
        server.start()

    threading.Thread(target=trouble).start()
    options = ["--max-frames", "40", "--events", tmp_path / "e.jsonl", "--patience", "600"]
    status, stdout, _ = edgekit(*sources(spot_video(40), server.url), *options, "--json")
    assert status == 0
    report = json.loads(stdout)
    assert [source["reconnects"] for source in report["sources"]] == [0, 1]
    assert [source["frames"] for source in report["sources"]] == [40, 40]
    assert ["age" in source for source in report["sources"]] == [False, True]


def test_one_that_cannot_be_opened_is_an_error_at_once(
    edgekit, mjpeg_server, spot_video, tmp_path, capfd
):
    for missing in (tmp_path / "nowhere.mp4", mjpeg_server.url):
        places = sources(spot_video(5), missing)
        status, _, stderr = edgekit(*places, "--events", tmp_path / "e.jsonl")
        assert status == 3
        assert str(missing) in stderr
        assert stderr.count("Error:") == 1
    assert {file.suffix for file in tmp_path.iterdir()} == {".mp4"}
    main(["run", "--help"])
    stated = "keeps trying to open a camera or stream, as long as another camera or stream can be"
    assert stated in " ".join(capfd.readouterr().out.split())


def test_a_place_that_cannot_be_written_ends_all(edgekit, spot_video, tmp_path):
    (tmp_path / "e-1.jsonl").mkdir()
    places = sources(spot_video(5), spot_video(800, "long.mp4"))
    status, _, stderr = edgekit(*places, "--realtime", "--events", tmp_path / "e.jsonl")
    assert status == 3
    assert "e-1.jsonl" in stderr
    assert stderr.count("Error:") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "-", "--source", "-"], "Standard input was given twice"),
        (["--camera", "0", "--source", "x", "--camera", "/dev/video0"], "camera 0 was given twice"),
        (17 * ["--source", "x"], "takes 16 at most"),
        (["--source", "x", "--source", "y", "--show"], "--serve 8080"),
        (["--source", "x", "--source", "y", "--json", "--events", "-"], "standard output"),
        (["--source", "e-1", "--source", "e", "--events", "e-1", "--video", "e-1"], "another"),
    ],
)
def test_what_cannot_be_is_wrong_usage(edgekit, arguments, words):
    status, _, stderr = edgekit(*arguments)
    assert status == 2
    assert words in stderr


def test_a_source_is_never_overwritten(edgekit, spot_video, tmp_path):
    clips = [spot_video(5, "v-0.mp4"), spot_video(5, "v-1.mp4")]
    before = clips[1].read_bytes()
    assert edgekit(*sources(*clips), "--video", tmp_path / "v.mp4")[0] == 2
    assert clips[1].read_bytes() == before


def test_several_may_stand_in_a_file_of_options(edgekit, spot_video, tmp_path):
    clips = [spot_video(9, "a.mp4"), spot_video(5, "b.mp4")]
    path = tmp_path / "edgekit.toml"
    path.write_text(f'source = ["{clips[0]}", "{clips[1]}"]\ncamera = []\n')
    status, stdout, _ = edgekit("--config", path, "--json")
    assert status == 0
    assert [source["frames"] for source in json.loads(stdout)["sources"]] == [9, 5]
    status, stdout, _ = edgekit("--config", path, "--check", "--json")
    assert status == 0
    assert [source["width"] for source in json.loads(stdout)["sources"]] == [128, 128]
    status, stdout, _ = edgekit("--config", path, "--check")
    assert stdout.count("Ready: ") == 2


def test_sources_of_the_command_line_go_before_those_of_a_file(edgekit, spot_video, tmp_path):
    path = tmp_path / "edgekit.toml"
    path.write_text("camera = [7, 8]\n")
    status, stdout, _ = edgekit("--config", path, "--source", spot_video(5), "--json")
    assert (status, json.loads(stdout)["frames"]) == (0, 5)
    path.write_text('source = "/nowhere"\n')
    status, _, stderr = edgekit("--config", path, "--camera", "9999")
    assert status == 3
    assert "Camera 9999" in stderr


def test_a_hangup_reads_the_thresholds_of_all_again(spot_bundle, spot_video, tmp_path):
    path = tmp_path / "edgekit.toml"
    clips = [str(spot_video(3000, name)) for name in ("a.mp4", "b.mp4")]
    lines = f"bundle = '{spot_bundle}'\nsource = {clips}\nmin-hits = 1\nrealtime = true\n"
    path.write_text(f"{lines}events = '{tmp_path}/e.jsonl'\nscore = 1.0\n")
    command = [sys.executable, "-m", "edgekit", "run", "--config", str(path)]
    written = [tmp_path / f"e-{n}.jsonl" for n in range(2)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as run:
        wait_until(lambda: all(frames_in(file) > 5 for file in written))
        path.write_text(lines + "score = 0.2\n")
        run.send_signal(signal.SIGHUP)
        assert run.stderr.readline()
        wait_until(lambda: all(b'"observed"' in file.read_bytes() for file in written))
        run.terminate()
        run.wait(LIMIT)
