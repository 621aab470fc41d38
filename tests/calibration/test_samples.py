from __future__ import annotations

import os
import pickle
import shutil

import cv2
import msgspec
import numpy as np
import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import Bundle, load_bundle
from edgekit.calibration.chosen_frames import choose_frames
from edgekit.calibration.contact_sheet import contact_sheet
from edgekit.calibration.samples import collect, extract
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.detector import cascade_of
from edgekit.errors import CalibrationError, OutputError
from edgekit.media.drawing.picture_file import write_picture


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(default_bundle())


def still(folder, pictures):
    folder.mkdir()
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return find_sequences(folder)


def test_a_sample_is_what_the_model_gets_when_it_runs(bundle, clips, tmp_path):
    footage = find_sequences(clips)
    wanted = [[0, 3, 4], [], [11]]
    samples = extract(bundle, footage, wanted, Store(tmp_path))
    assert [(p.sequence, p.frame) for p in samples.places] == [(0, 0), (0, 3), (0, 4), (2, 11)]
    expected = []
    for sequence, indices in zip(footage, wanted, strict=True):
        cascade = cascade_of(bundle)
        tensors = [cascade(frame.image)[0].copy() for frame in sequence.frames()]
        expected += [tensors[index] for index in indices]
    for given, tensor in zip(samples, expected, strict=True):
        np.testing.assert_array_equal(given["input"], tensor)
    (height, width) = (samples.places[0].height, samples.places[0].width)
    assert (height, width) == (96, 128)


def in_gap(bundle, gap):
    cascade = msgspec.structs.replace(bundle.manifest.cascade, frame_gap=gap, interval=gap / 25)
    return Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, cascade=cascade), "other")


@pytest.mark.parametrize("gap", [1, 2])
def test_a_frame_is_compared_with_the_one_so_many_before(bundle, clips, tmp_path, gap):
    footage = find_sequences(clips / "clip1.avi")
    other = in_gap(bundle, gap)
    every = extract(other, footage, [list(range(12))], Store(tmp_path)).pairs
    for index in range(gap, 12):
        np.testing.assert_array_equal(every[index][0], every[index - gap][1])
    assert not every[:gap, 0].any()
    wanted, evaluated = choose_frames(other, footage, Store(tmp_path), samples=8, evaluated=3)
    # One first frame; the rest have another to be compared with.
    assert min(wanted[0]) == 0
    assert all(index >= gap for index in wanted[0][1:])
    assert set(wanted[0]).isdisjoint(evaluated[0])


@pytest.mark.parametrize("gap", [1, 2])
def test_no_frame_is_compared_with_one_of_another_size(bundle, tmp_path, gap):
    noise = np.random.default_rng(0).integers(0, 256, (24, 60, 80, 3), dtype=np.uint8)
    pictures = [*noise[:8], *noise[8:, :, :60]]  # of another size from the eighth on
    footage = still(tmp_path / "pictures", pictures)
    (tmp_path / "pictures" / "12.png").write_bytes(b"no picture")
    other, store = in_gap(bundle, gap), Store(tmp_path / "s")
    there = [index for index in range(24) if index != 12]
    pairs = extract(other, footage, [there], store).pairs
    without = {there[place] for place in range(len(there)) if not pairs[place][0].any()}
    assert without == {start + i for start in (0, 8) for i in range(gap)}
    wanted, evaluated = choose_frames(other, footage, store, samples=30, evaluated=30)
    assert set(wanted[0]) & without == {0}
    assert not set(evaluated[0]) & without


def test_what_cannot_be_read_is_said_once(bundle, tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (12, 60, 80, 3), dtype=np.uint8)
    footage = still(tmp_path / "pictures", noise)
    (tmp_path / "pictures" / "3.png").write_bytes(b"no picture")
    collect(bundle, footage, Store(tmp_path / "s"), samples=4, evaluated=2)
    said = [record.getMessage() for record in caplog.records if "kipped" in record.getMessage()]
    assert len(said) == 2
    assert "3.png" in said[0]
    assert said[1] == "1 of 12 pictures were skipped."


def test_samples_travel_to_other_processes(bundle, clips, tmp_path):
    samples = extract(bundle, find_sequences(clips), [[1, 5], [2], [3]], Store(tmp_path))
    there = pickle.loads(pickle.dumps(samples.some([0, 2, 3]).some([0, 1])))
    assert len(there) == 2
    assert there.places == (samples.places[0], samples.places[2])
    np.testing.assert_array_equal(there[1]["input"], samples[2]["input"])
    assert there.key != samples.key
    with pytest.raises(IndexError):
        there[2]


def test_evaluation_frames_are_not_used_for_calibration(bundle, clips, tmp_path):
    footage = find_sequences(clips)
    first, second = collect(bundle, footage, Store(tmp_path), samples=9, evaluated=6)
    assert len(first) == 9
    assert len(second) == 6
    assert sum(place.frame == 0 for place in first.places) == 1
    assert all(place.frame < 9 <= other.frame for place in first.places for other in second.places)


def test_the_same_content_is_found_again_elsewhere(bundle, clips, tmp_path):
    store = Store(tmp_path / "store")
    before, _ = collect(bundle, find_sequences(clips), store, samples=5, evaluated=2)
    shutil.copytree(clips, tmp_path / "elsewhere")
    there = set(store.path.iterdir())
    footage = find_sequences(tmp_path / "elsewhere")
    after, _ = collect(bundle, footage, store, samples=5, evaluated=2)
    assert after.key == before.key
    assert set(store.path.iterdir()) == there
    other, _ = collect(bundle, footage, store, samples=5, evaluated=2, seed=1)
    assert other.key != before.key


def test_a_still_picture_says_nothing_of_motion(bundle, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for name, pictures in (("one", [noise]), ("same", [noise] * 8)):
        footage = still(tmp_path / name, pictures)
        with pytest.raises(CalibrationError, match="no two consecutive frames"):
            choose_frames(bundle, footage, Store(tmp_path / "s"), samples=4, evaluated=1)


def test_still_pictures_suit_a_network_that_compares_none(bundle, tmp_path):
    cascade = msgspec.structs.replace(bundle.manifest.cascade, kind="rgb")
    manifest = msgspec.structs.replace(bundle.manifest, cascade=cascade)
    plain = Bundle(bundle.path, manifest, bundle.sha256)
    noise = np.random.default_rng(0).integers(0, 256, (8, 60, 80, 3), dtype=np.uint8)
    found = choose_frames(
        plain, still(tmp_path / "stills", noise), Store(tmp_path / "s"), samples=4, evaluated=2
    )
    assert list(map(len, found[0])) == [4]
    assert len(set(found[0][0])) == 4
    assert found[1] == [[6, 7]]
    single = still(tmp_path / "one", noise[:1])
    with pytest.raises(CalibrationError, match="found 1 in all"):
        choose_frames(plain, single, Store(tmp_path / "s"), samples=4, evaluated=2)


def test_frames_of_one_colour_are_refused(bundle, tmp_path):
    pictures = [np.full((256, 256, 3), 20 * level, np.uint8) for level in range(8)]
    footage = still(tmp_path / "grey", pictures)
    with pytest.raises(CalibrationError, match="has a single colour"):
        choose_frames(bundle, footage, Store(tmp_path / "s"), samples=4, evaluated=1)


def test_frames_that_went_missing_are_said(bundle, clips, tmp_path):
    with pytest.raises(CalibrationError, match="no frame 99"):
        extract(bundle, find_sequences(clips / "clip1.avi"), [[1, 99]], Store(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_sheet_shows_frames_over_their_maps(bundle, clips, tmp_path):
    samples = extract(bundle, find_sequences(clips / "clip1.avi"), [[1, 2, 3]], Store(tmp_path))
    sheet = contact_sheet(samples)
    assert sheet.shape == (230, 8 * 118, 3)
    assert (sheet[:, 3 * 118 :] == 255).all()
    assert sheet[:112, :112].std() > 10
    # The map is the same wherever the cascade is computed.
    cascade = msgspec.structs.replace(bundle.manifest.cascade, place="graph")
    manifest = msgspec.structs.replace(bundle.manifest, cascade=cascade)
    inside = Bundle(bundle.path, manifest, "inside")
    samples = extract(inside, find_sequences(clips / "clip1.avi"), [[1, 2, 3]], Store(tmp_path))
    np.testing.assert_array_equal(contact_sheet(samples), sheet)
    # A map of dissimilarity is dark where something moved, too.
    cascade = msgspec.structs.replace(bundle.manifest.cascade, kind="dssim")
    manifest = msgspec.structs.replace(bundle.manifest, cascade=cascade)
    other = Bundle(bundle.path, manifest, "other")
    samples = extract(other, find_sequences(clips / "clip1.avi"), [[1, 2, 3]], Store(tmp_path))
    np.testing.assert_allclose(contact_sheet(samples).astype(int), sheet.astype(int), atol=1)
    write_picture(sheet, tmp_path / "sheet.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "sheet.png")), sheet)
    folder = tmp_path / os.fsdecode(b"\xff")  # no UTF-8, which OpenCV expects
    folder.mkdir()
    write_picture(sheet, folder / "sheet.png")
    assert (folder / "sheet.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()
    with pytest.raises(OutputError, match="Cannot write a picture"):
        write_picture(sheet, tmp_path / "sheet.nonsense")
    assert not (tmp_path / "sheet.nonsense").exists()
