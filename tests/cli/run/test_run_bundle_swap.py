"""Tests that a run in a process of its own changes to another bundle and loses no frame."""

from __future__ import annotations

import json
import signal

import cv2
import pytest

from edgekit.assets import default_bundle
from edgekit.cli import main
from tests.ssh_keys import make_key
from tests.waiting import LIMIT, wait_until


def lines_of(events):
    if not events.exists():
        return []
    text = events.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def changes(events):
    return [line for line in lines_of(events) if line["type"] == "bundle"]


def names_of(events):
    return [change["bundle"]["name"] for change in changes(events)]


def link_to(link, folder):
    """Replaces a link as deployments do: the path always leads to a bundle."""
    new = link.with_name("new")
    new.symlink_to(folder)
    new.replace(link)


@pytest.fixture
def swapping(start_run, spot_images, spot_bundle, tmp_path):
    """Starts a run on a link to the bundle; waits for its first frames."""
    link, events = tmp_path / "current", tmp_path / "e.jsonl"
    link.symlink_to(spot_bundle)
    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25, (128, 96))
    images = spot_images(64)
    for _ in range(24):  # to and fro, so that it is one tube
        for image in images[:-1] + images[:0:-1]:
            writer.write(image)
    writer.release()

    def start(*words):
        named = () if "--config" in words else ("--bundle", link)
        words = (*named, "--source", clip, "--realtime", "--events", events, *words)
        process = start_run(*words, "--json")
        wait_until(lambda: lines_of(events)[3:], process)
        return process, link, events

    return start


def ended(process, events):
    """Ends a run; returns its report and its events, in which no frame is missing."""
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, errors
    lines = lines_of(events)
    indices = [line["index"] for line in lines if line["type"] == "frame"]
    assert indices == list(range(len(indices)))
    assert not [line for line in lines if line["type"] in ("gap", "lost")]
    return json.loads(out), lines, errors


def test_a_changed_link_changes_the_bundle_between_two_frames(swapping, make_spot_bundle):
    process, link, events = swapping()
    # Another input size: the letterbox of each frame belongs to its own bundle.
    link_to(link, make_spot_bundle("spot-two", side=96))
    wait_until(lambda: changes(events), process)
    place = changes(events)[0]["index"]
    wait_until(lambda: lines_of(events)[-1].get("index", 0) > place + 4, process)
    report, lines, errors = ended(process, events)
    (change,) = [line for line in lines if line["type"] == "bundle"]
    assert change["outcome"] == "running"
    assert change["bundle"]["name"] == report["bundle"]["name"] == "spot-two"
    assert change["bundle"]["sha256"] == report["bundle"]["sha256"]
    assert "spot-two" in errors
    following = lines[lines.index(change) + 1]
    assert (following["type"], following["index"]) == ("frame", place)
    # The same classes: the tube goes on.
    assert {tube["id"] for line in lines for tube in line.get("tubes", ())} == {0}
    boxes = [line["detections"][0]["box"] for line in lines if line.get("detections")]
    assert all(box[3] - box[1] > 0 for box in boxes)


def test_sighup_takes_the_bundle_that_replaced_a_folder(swapping, make_spot_bundle, tmp_path):
    place = tmp_path / "place"
    make_spot_bundle("spot-one").rename(place)
    process, _, events = swapping("--bundle", place)
    for name in ("spot-two", "spot-three"):
        place.rename(tmp_path / f"before-{name}")
        make_spot_bundle(name).rename(place)
        process.send_signal(signal.SIGHUP)
        wait_until(
            lambda name=name: [c["bundle"]["name"] for c in changes(events)][-1:] == [name], process
        )
        process.send_signal(signal.SIGHUP)  # the same bundle: nothing changes
    _, lines, _ = ended(process, events)
    # A slow process may handle the second signal while the folder is away, and refuse that.
    ran = [line for line in lines if line["type"] == "bundle" and line["outcome"] == "running"]
    assert [line["bundle"]["name"] for line in ran] == ["spot-two", "spot-three"]


def test_sighup_takes_another_path_from_the_options_file(swapping, make_spot_bundle, tmp_path):
    path = tmp_path / "run.toml"
    first, second = make_spot_bundle("spot-one"), make_spot_bundle("spot-two")
    path.write_text(f'bundle = "{first}"\n')
    process, _, events = swapping("--config", path)
    path.write_text(f'bundle = "{second}"\n')
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: changes(events), process)
    report, _, _ = ended(process, events)
    assert report["bundle"]["name"] == "spot-two"


def test_sighup_changes_to_and_from_the_shipped_bundle(swapping, make_spot_bundle, tmp_path):
    path, shipped = tmp_path / "run.toml", default_bundle().name.partition("-onnx")[0]
    path.write_text("score = 0.3\n")
    process, _, events = swapping("--config", path)
    bundles = [str(make_spot_bundle("spot-one")), "shipped"]
    for count, bundle in enumerate(bundles, 1):
        path.write_text(f'bundle = "{bundle}"\n')
        process.send_signal(signal.SIGHUP)
        wait_until(lambda count=count: len(changes(events)) == count, process)
    report, _, _ = ended(process, events)
    assert names_of(events) == ["spot-one", shipped]
    assert report["bundle"]["name"] == shipped


def test_other_classes_end_the_tubes_and_the_numbers_go_on(swapping, make_spot_bundle, tmp_path):
    video, clips = tmp_path / "video.mp4", tmp_path / "clips"
    process, link, events = swapping("--video", video, "--clips", clips)
    wait_until(lambda: any(line.get("tubes") for line in lines_of(events)), process)
    link_to(link, make_spot_bundle("renamed", classes=("dot", "none")))
    wait_until(lambda: changes(events), process)
    wait_until(lambda: lines_of(events)[-1].get("tubes"), process)
    report, lines, _ = ended(process, events)
    (change,) = [line for line in lines if line["type"] == "bundle"]
    assert change["classes"] == ["dot", "none"]
    before = lines[lines.index(change) - 1]
    assert (before["type"], before["id"], before["end"]) == ("tube", 0, change["index"] - 1)
    after = [line for line in lines[lines.index(change) :] if line["type"] == "tube"]
    assert [tube["id"] for tube in after] == [1]
    assert after[0]["start"] >= change["index"]
    assert [
        (tube["id"], tube["name"]) for tube in sorted(report["tubes"], key=lambda t: t["id"])
    ] == [
        (0, "spot"),
        (1, "dot"),
    ]
    about = [json.loads(path.read_text()) for path in clips.glob("*.json")]
    assert {clip["tube"]["id"]: clip["class"] for clip in about} == {0: "spot", 1: "dot"}
    capture = cv2.VideoCapture(str(video))
    pictures = sum(1 for _ in iter(lambda: capture.read()[0], False))
    assert pictures == sum(line["type"] == "frame" for line in lines)


def test_another_interval_pairs_the_frames_anew(swapping, make_spot_bundle):
    process, link, events = swapping()
    link_to(link, make_spot_bundle("slow", interval=0.12))
    wait_until(lambda: changes(events), process)
    place = changes(events)[0]["index"]
    wait_until(lambda: lines_of(events)[-1].get("index", 0) > place + 8, process)
    _, lines, _ = ended(process, events)
    assert {tube["id"] for line in lines for tube in line.get("tubes", ())} == {0}


def spoil(folder):
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("fault", ["changed", "not finite", "no bundle", "classes"])
def test_a_bundle_that_fails_leaves_the_old_one_running(
    swapping, make_spot_bundle, spot_bundle, tmp_path, fault
):
    words = ("--save-detections", tmp_path / "d.json") if fault == "classes" else ()
    process, link, events = swapping(*words)
    if fault == "changed":
        other, reason = make_spot_bundle("bad"), "has changed since the bundle was written"
        spoil(other)
    elif fault == "not finite":
        other, reason = make_spot_bundle("bad", level=float("nan")), "not finite on the present"
    elif fault == "classes":
        other, reason = make_spot_bundle("bad", classes=("a", "b")), "save_detections needs the"
    else:
        other, reason = tmp_path / "bad", "is not a bundle"
        other.mkdir()
    link_to(link, other)
    wait_until(lambda: changes(events), process)
    place = changes(events)[0]["index"]
    wait_until(lambda: lines_of(events)[-1].get("index", 0) > place + 40, process)
    assert len(changes(events)) == 1  # it is said once
    link_to(link, spot_bundle)  # the bundle that runs
    wait_until(lambda: changes(events)[1:], process)
    report, lines, errors = ended(process, events)
    refused, again = (line for line in lines if line["type"] == "bundle")
    assert (refused["outcome"], again["outcome"]) == ("refused", "running")
    assert reason in refused["error"]
    assert errors.count(refused["error"]) == 1
    assert refused["bundle"]["name"] == "bad"
    assert report["bundle"]["name"] == again["bundle"]["name"] == "spot"
    assert {tube["id"] for line in lines for tube in line.get("tubes", ())} == {0}


def test_a_required_signature_is_required_of_every_bundle(swapping, make_spot_bundle, tmp_path):
    pytest.importorskip("cryptography")
    key = make_key(tmp_path / "key")
    first, unsigned, signed = (make_spot_bundle(name) for name in ("one", "unsigned", "two"))
    for bundle in (first, signed):
        assert main(["sign", str(bundle), "--key", str(key)]) == 0
    link = tmp_path / "signed"
    link.symlink_to(first)
    keys = key.with_suffix(".pub")
    process, _, events = swapping("--bundle", link, "--require-signature", keys)
    for bundle in (unsigned, signed):
        link_to(link, bundle)
        wait_until(lambda name=bundle.name: name in names_of(events), process)
    _, lines, _ = ended(process, events)
    found = [line for line in lines if line["type"] == "bundle"]
    assert [change["outcome"] for change in found] == ["refused", "running"]
    assert found[0]["bundle"]["sha256"] == ""  # nothing of it was parsed
