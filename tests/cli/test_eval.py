from __future__ import annotations

import gzip
import json

import pytest

from edgekit.cli import main as run
from edgekit.synthetic.dataset import write_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of each test's own: results of earlier runs would be taken from the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# The figures and every tube of the other ways to link are tested in metrics/test_evaluate.py.
VARIANTS = {"korsal-motion": "extrapolate"}


@pytest.mark.shared
@pytest.mark.parametrize("link", VARIANTS)
def test_the_published_protocol_gives_the_published_numbers(shared, link, capsys):
    golden = json.loads((shared / "golden" / "eval_expected.json").read_text())
    path = shared / "golden" / "eval_detections.json.gz"
    arguments = ["eval", "--detections", str(path), "--link", link, "--protocol", "published"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = golden["video_ap"][VARIANTS[link]]
    assert found["frame_map"]["0.5"] == pytest.approx(golden["frame_ap"]["mean_ap"], abs=1e-6)
    for threshold in ("0.2", "0.5", "0.75"):
        mean = expected["mean_ap"][expected["iou_thresholds"].index(float(threshold))]
        assert found["video_map"][threshold] == pytest.approx(mean, abs=1e-6)
    assert found["video_map"]["0.5:0.95"] == pytest.approx(expected["map_50_95"], abs=1e-6)
    assert found["link"] == link
    assert found["videos"] == len(golden["video_order"])
    assert set(found) == {
        "schema", "frame_map", "video_map", "per_class", "videos", "frames", "link", "seconds"
    }  # fmt: skip


def a_file(tmp_path, **changes):
    frame = {"boxes": [[10, 10, 60, 90]], "scores": [{"0": 0.9}]}
    gt = {"label": 0, "start": 0, "end": 20, "boxes_xywh_1based": [[11, 11, 50, 80]] * 20}
    video = {"frames": 20, "gt": [gt], "detections": [frame] * 20}
    content = {"classes": ["a", "b"], "width": 320, "height": 240, "videos": {"v": video}}
    video.update(changes)
    path = tmp_path / "detections.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def test_perfect_detections(tmp_path, capsys):
    assert run(["eval", "--detections", str(a_file(tmp_path)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frame_map"] == {"0.5": 1.0}
    assert found["video_map"]["0.5:0.95"] == 1.0
    assert found["per_class"]["b"]["frame_ap"] is None


def test_the_table(tmp_path, capsys):
    assert run(["eval", "--detections", str(a_file(tmp_path))]) == 0
    shown = capsys.readouterr().out
    assert "1.000" in shown
    assert "1 video, 20 frames" in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"detections": [{"boxes": [[1, 1, 5, 5]]}] * 20}, "scores"),
        ({"detections": []}, "frames"),
        ({"detections": [{"boxes": [[1, 1, 5, 5]], "scores": [{"7": 0.5}]}] * 20}, "7"),
        ({"gt": []}, "has an annotated tube"),
    ],
)
def test_bad_files(tmp_path, capsys, changes, words):
    path = a_file(tmp_path, **changes)
    assert run(["eval", "--detections", str(path), "--json"]) == 3
    shown = capsys.readouterr()
    assert words in shown.err
    assert json.loads(shown.out)["error"]["code"] == "annotation"
    assert "Traceback" not in shown.err


def test_wrong_usage(tmp_path, capsys):
    path = str(a_file(tmp_path))
    assert run(["eval"]) == 2
    assert "--root" in capsys.readouterr().err
    assert run(["eval", "--detections", path, "--root", str(tmp_path)]) == 2
    assert run(["eval", "--detections", path, "--max-misses", "0"]) == 2
    assert run(["eval", "--detections", path, "--max-misses", "-1"]) == 2
    assert run(["eval", "--detections", path, "--delay", "-1"]) == 2
    assert run(["eval", "--detections", path, "--delay", "5", "--link", "road"]) == 2
    assert run(["eval", "--detections", path, "--delay", "5", "--delay-seconds", "0.2"]) == 2
    assert run(["eval", "--detections", path, "--max-misses", "5", "--max-gap", "0.2"]) == 2
    assert run(["eval", "--detections", path, "--max-gap", "nan"]) == 2
    assert run(["eval", "--detections", path, "--max-gap", "1", "--link", "road"]) == 2
    assert run(["eval", "--detections", path, "--cost", "similarity"]) == 2
    assert run(["eval", "--detections", str(tmp_path / "none.json")]) == 3
    for flag, *value in (["--strict"], ["--threads", "2"], ["--runtime", "ncnn"], ["--cache", "c"]):
        capsys.readouterr()
        assert run(["eval", "--detections", path, flag, *value]) == 2
        assert f"--detections and {flag} cannot be used together" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["-", "../clip.avi", "/dev/video0", "videotestsrc ! x264enc ! filesink location={}/made"],
)
def test_a_video_of_the_annotations_is_no_source_of_another_kind(
    spot_bundle, tmp_path, capsys, name
):
    name = name.format(tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    tube = {"label": 0, "start": 0, "end": 1, "boxes": [[1, 1, 9, 9]]}
    video = {"width": 64, "height": 48, "frames": 3, "tubes": [tube]}
    content = {"classes": ["spot"], "videos": {name: video}}
    (root / "annotations.json").write_text(json.dumps(content))
    arguments = ["eval", str(spot_bundle), "--dataset", "json", "--root", str(root)]
    assert run(arguments) == 3
    shown = capsys.readouterr().err
    assert name.split(" ")[0] in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "made").exists()


def test_a_broken_video_is_named_beside_the_figures_of_the_others(tmp_path, capsys, caplog):
    root = tmp_path / "clips"
    write_dataset(root, (1, 2), frames=8)
    (root / "puppets-2.avi").write_bytes(b"no video")
    arguments = ["eval", "shipped", "--root", str(root), "--threads", "1"]
    assert run(arguments) == 3
    shown = capsys.readouterr()
    assert "1 video, 8 frames" in shown.out
    assert "puppets-2.avi failed: " in shown.out
    assert "Error: 1 of 2 videos failed; the figures are those of the others." in shown.err
    assert run([*arguments, "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert list(found["failures"]) == ["puppets-2.avi"]
    assert (found["error"]["code"], found["videos"]) == ("media", 1)
    assert "1 of 2 videos were processed before" in caplog.text
    assert run([*arguments, "--strict"]) == 3
    assert "frame-AP" not in capsys.readouterr().out


def test_the_hint_is_that_of_the_help(tmp_path, capsys, caplog):
    write_dataset(tmp_path / "clips", (1,), frames=8)
    assert run(["eval", "shipped", "--root", str(tmp_path / "clips"), "--threads", "2", "-v"]) == 0
    assert "threads 2, a frame each" in caplog.text
    run(["eval", "--help"])
    stated = "[default: throughput; latency with several --workers, and with --cluster]"
    assert stated in " ".join(capsys.readouterr().out.split())


def write_saved(tmp_path, name, **options):
    from edgekit.metrics.detections_writer import write_detections
    from tests.metrics.analysis.made import saved

    path = tmp_path / name
    write_detections(path, saved(24, **options))
    return str(path)


@pytest.mark.parametrize("ending", ["html", "json"])
def test_a_report(tmp_path, capsys, ending):
    path = write_saved(tmp_path, "found.json.gz")
    report = tmp_path / f"report.{ending}"
    assert run(["eval", "--detections", path, "--report", str(report)]) == 0
    assert f"Report: {report}" in capsys.readouterr().out
    assert "wrong class" in report.read_text()


def test_what_a_report_cannot_be(tmp_path, capsys):
    path = write_saved(tmp_path, "found.json.gz")
    for words, message in (
        (["--report", str(tmp_path / "report.pdf")], "Expected --report to end in .html or .json"),
        (
            ["--report", str(tmp_path / "r.html"), "--protocol", "published"],
            "--report cannot be used together with --protocol published",
        ),
    ):
        assert run(["eval", "--detections", path, *words]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert len(list(tmp_path.iterdir())) == 1


def test_a_class_without_a_processed_frame_keeps_its_row(tmp_path, capsys):
    frame = {"boxes": [[10, 10, 60, 90]], "scores": [{"0": 0.9, "1": 0.8}]}
    gt = [
        {"label": label, "start": 10 * label, "end": 10 * label + 10,
         "boxes_xywh_1based": [[11, 11, 50, 80]] * 10}
        for label in (0, 1)
    ]  # fmt: skip
    path = a_file(tmp_path, gt=gt, detections=[frame] * 10 + [None] * 10)
    assert run(["eval", "--detections", str(path)]) == 0
    words = [line.split() for line in capsys.readouterr().out.replace("│", "").splitlines()]
    assert ["b", "-"] in [line[:2] for line in words]
    path = a_file(tmp_path, gt=gt, detections=[None] * 20)
    assert run(["eval", "--detections", str(path), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert "None of the 20 annotated boxes" in found["error"]["message"]


def test_two_files_are_compared(tmp_path, capsys):
    one = write_saved(tmp_path, "a.json.gz", right=0.9)
    two = write_saved(tmp_path, "b.json.gz", right=0.2, seed=1)
    assert run(["eval", "--detections", one, "--compare", two]) == 0
    assert f"frame-mAP@0.5: higher than {two} by" in capsys.readouterr().out
    assert run(["eval", "--detections", one, "--compare", one, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["comparison"]
    assert found["videos"] == 24
    assert found["frame_map"]["0.5"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    other = str(a_file(tmp_path))
    assert run(["eval", "--detections", one, "--compare", other]) == 3
    assert "their classes differ" in capsys.readouterr().err
    assert run(["eval", "--detections", one, "--compare", str(tmp_path / "none.json")]) == 3


def test_tracking_measures(tmp_path, capsys):
    pytest.importorskip("trackeval", reason="the package trackeval is not installed")
    path = write_saved(tmp_path, "found.json.gz")
    assert run(["eval", "--detections", path, "--tracking"]) == 0
    assert "Tracking: HOTA 0." in capsys.readouterr().out
    assert run(["eval", "--detections", path, "--tracking", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tracking"]
    assert set(found) == {"hota", "det_a", "ass_a", "idf1", "mota", "id_switches"}


def test_of_many_broken_videos_five_are_named_and_the_others_counted(tmp_path, capsys, caplog):
    root = tmp_path / "clips"
    write_dataset(root, (1,), frames=8)
    annotations = json.loads((root / "annotations.json").read_text())
    (entry,) = annotations["videos"].values()
    broken = [f"puppets-{number}.avi" for number in range(2, 10)]
    for name in broken:
        (root / name).write_bytes(b"no video")
        annotations["videos"][name] = entry
    (root / "annotations.json").write_text(json.dumps(annotations))
    arguments = ["eval", "shipped", "--root", str(root), "--threads", "1"]
    assert run(arguments) == 3
    shown = capsys.readouterr()
    assert shown.out.count(" failed: ") == 5
    assert "Failed videos that are not named above: 3. --json and -v name all." in shown.out
    assert "Error: 8 of 9 videos failed; the figures are those of the others." in shown.err
    assert sum("failed and is left out" in line for line in caplog.messages) == 5
    assert "Failed videos that are not named above: 3. -v names all." in caplog.messages
    assert run([*arguments, "--json"]) == 3
    assert list(json.loads(capsys.readouterr().out)["failures"]) == broken
