from __future__ import annotations

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edgekit import demo
from edgekit.cli import main
from edgekit.errors import OutputError
from edgekit.runtime.types import Detections
from edgekit.synthetic import CLASSES, render_clip


class Oracle:
    """Finds what is annotated."""

    def __init__(self, clip):
        self._clip, self._index = clip, -1
        self.classes = CLASSES

    def reset(self):
        pass

    def recent_frames(self):
        return None

    def prepare(self, image, sample_aspect=1.0, earlier=None):
        self._index += 1
        return {}, None

    def infer(self, inputs):
        return {}

    def release(self, inputs):
        pass

    def decode(self, outputs, letterbox):
        index = self._index
        here = [tube for tube in self._clip.tubes if tube.start <= index < tube.end]
        boxes = np.array([tube.boxes[index - tube.start] for tube in here]).reshape(-1, 4)
        scores = np.zeros((len(here), len(CLASSES)))
        scores[range(len(here)), [tube.label for tube in here]] = 0.9
        return Detections(boxes, scores)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The demonstration as it ships: what it printed as JSON, and its folder."""
    folder = tmp_path_factory.mktemp("made") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("click.echo", lambda text="", **_: lines.append(text))
        patch.delenv("DISPLAY", raising=False)
        assert main(["demo", "-o", str(folder), "--json"]) == 0
    return json.loads("".join(lines)), folder


def test_it_writes_video_events_and_picture(made):
    report, folder = made
    assert sorted(path.name for path in folder.iterdir()) == sorted(demo.FILES.values())
    assert report["files"]["picture"] == str(folder / "demo.png")
    video = cv2.VideoCapture(str(folder / "annotated.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 130
    assert video.read()[1].shape == (240, 320, 3)
    video.release()
    assert cv2.imread(str(folder / "demo.png")).shape[1] == 1600
    lines = (folder / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert kinds.count("frame") == 130


def test_it_reports_accuracy_stages_and_truth(made):
    report, _ = made
    assert report["frames"] == 130
    assert 0 <= report["frame_map"]["0.5"] <= 1
    assert set(report["video_map"]) == {"0.2", "0.5", "0.75", "0.5:0.95"}
    assert list(report["stages"]) == ["capture", "cascade", "network", "decode", "link", "emit"]
    clip = render_clip(demo.DEMO_SEED, frames=130)
    assert [(known["name"], known["start"], known["end"]) for known in report["truth"]] == [
        (CLASSES[tube.label], tube.start, tube.end - 1) for tube in clip.tubes
    ]


def test_the_embedded_clip_has_company_that_only_holds_a_pose_and_a_post():
    clip = render_clip(demo.DEMO_SEED, frames=130)
    assert len({tube.label for tube in clip.tubes}) >= 3
    assert any(figure.start == figure.end for figure in clip.figures)
    assert clip.occluders


def test_who_finds_everything_gets_full_marks(tmp_path, monkeypatch):
    clip = render_clip(demo.DEMO_SEED, frames=130)

    class Opened(Oracle):
        def __init__(self, bundle):
            super().__init__(clip)
            self.bundle = type("B", (), {"manifest": type("M", (), {"name": "o"}), "sha256": ""})

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(demo, "Detector", Opened)
    result = demo.run_demo(tmp_path, tmp_path / "demo")
    assert result.accuracy.frame_map == pytest.approx(1)
    assert result.accuracy.video_map["0.5"] == pytest.approx(1)


def test_a_folder_that_exists_needs_force_and_people_get_tables(
    made, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(demo, "_FRAMES", 60)
    folder = shutil.copytree(made[1], tmp_path / "demo")
    assert main(["demo", "-o", str(folder)]) == 3
    assert "--force" in capsys.readouterr().err
    before = (folder / "events.jsonl").stat().st_ino
    assert main(["demo", "-o", str(folder), "--seed", "7", "--force"]) == 0
    assert (folder / "events.jsonl").stat().st_ino != before
    shown = capsys.readouterr().out
    for word in ("frame-mAP@0.5", "video-mAP", "network", "first frame"):
        assert word in shown


def test_force_replaces_nothing_but_a_demonstration(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("x")
    assert main(["demo", "-o", str(tmp_path), "--force"]) == 3
    assert "thesis.txt" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "x"


def test_force_replaces_no_folder_that_takes_its_place_meanwhile(tmp_path):
    folder = tmp_path / "demo"

    def work():
        with demo._place(folder, True):
            folder.mkdir()
            (folder / "thesis.txt").write_text("x")

    with pytest.raises(OutputError, match="thesis"):
        work()
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_place_that_cannot_be_written_to(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "-o", str(tmp_path / "file" / "demo")]) == 3
    shown = capsys.readouterr().err
    assert "Cannot write" in shown
    assert "Traceback" not in shown


def test_a_full_disk_is_named_as_the_place_will_be(tmp_path):
    with (
        pytest.raises(OutputError, match="demo/events") as caught,
        demo._place(tmp_path / "demo", False) as place,
    ):
        raise OutputError(f"Cannot write {place / 'events.jsonl'}: No space left on device.")
    assert str(tmp_path / "demo" / "events.jsonl") in caught.value.message
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_other_classes_is_named(spot_bundle, tmp_path, capsys):
    arguments = ["demo", "-o", str(tmp_path / "demo"), "--bundle", str(spot_bundle)]
    assert main(arguments) == 3
    shown = capsys.readouterr().err
    assert "HorseRiding" in shown
    assert "spot" in shown
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_is_none(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "demo"), "--bundle", str(tmp_path)]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


_INTERRUPTED = """
import os, signal, sys
from edgekit import demo
from edgekit.cli import main

read = demo.PuppetSource.read

def interrupted(source):
    if source.position == 9:
        os.kill(os.getpid(), signal.SIGINT)
    return read(source)

demo.PuppetSource.read = interrupted
sys.exit(main(["demo", "-o", sys.argv[1], "--json"]))
"""


def test_ctrl_c_keeps_what_is_done(tmp_path):
    # In a process of its own: a signal that came too late would end the tests.
    command = [sys.executable, "-c", _INTERRUPTED, str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    report = json.loads(done.stdout)
    assert report["interrupted"]
    assert report["frame_map"] is None
    assert (tmp_path / "demo" / "annotated.mp4").is_file()
