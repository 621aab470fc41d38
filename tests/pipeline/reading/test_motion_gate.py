"""Tests that the gate rests during noise of every kind, and not during motion."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import count

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.pipeline.reading.motion_gate import MotionGate
from edgekit.runtime.types import Frame

HEIGHT, WIDTH = 72, 96
ALL = [0.0, 0.0, WIDTH, HEIGHT]
LEARNT = 110
"""Pictures after which a quiet source rests."""


class Camera:
    """A scene with noise; ``see`` gives what the gate says of the next pictures."""

    def __init__(self, seed=0, noise=3.0, fps=25.0):
        self.random = np.random.default_rng(seed)
        rough = self.random.uniform(40, 200, (9, 12, 3))
        self.scene = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        self.noise, self.fps = noise, fps
        self.gate = MotionGate("camera")
        self.index = 0

    def picture(self, scene):
        noisy = scene + self.random.normal(0, self.noise, scene.shape)
        return noisy.clip(0, 255).astype(np.uint8)

    def frame(self, scene=None, **changes):
        image = self.picture(self.scene if scene is None else scene)
        frame = Frame(self.index, self.index / self.fps, image)
        self.index += 1
        return replace(frame, **changes)

    def see(self, frames, scene=None):
        return [self.gate.is_still(self.frame(scene)) for _ in range(frames)]

    def block(self, x, y=20, side=12, level=255.0):
        scene = self.scene.copy()
        scene[y : y + side, max(0, int(x)) : max(0, int(x) + side)] = level
        return scene


@given(st.integers(0, 2**32 - 1), st.floats(0, 9), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_noise_up_to_what_was_learnt_never_wakes(seed, noise, share):
    camera = Camera(seed, noise)
    assert camera.see(LEARNT)[-1]
    camera.noise = share * noise
    assert all(camera.see(200))
    assert camera.gate.wakes == 0


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 5),
    st.sampled_from((-1, 1)),
    st.floats(2, 8),
    st.sampled_from((0.0, 255.0)),
)
@settings(max_examples=20, deadline=None)
def test_a_block_that_sets_out_wakes_within_two_pictures(seed, noise, way, speed, level):
    camera = Camera(seed, noise)
    camera.scene = camera.scene * 0.3 + 90  # a level that differs from it wherever it is
    start = camera.block(40, level=level)
    assert camera.see(LEARNT, start)[-1]
    moved = [camera.see(1, camera.block(40 + way * speed * k, level=level))[0] for k in (1, 2)]
    assert not moved[-1]
    assert camera.gate.wakes == 1


def test_nothing_rests_before_it_has_learnt():
    camera = Camera()
    found = camera.see(LEARNT)
    first = found.index(True)
    assert 4.0 <= first / 25 <= 4.2
    assert all(found[first:])
    assert camera.gate.summary().threshold > 3


def test_a_slow_camera_learns_from_enough_pictures():
    camera = Camera(fps=5)
    assert 40 <= camera.see(60).index(True) <= 50


def test_while_somebody_acts_nothing_is_learnt():
    camera = Camera()
    camera.gate.acting = [ALL]
    assert not any(camera.see(200))
    camera.gate.acting = []
    assert camera.see(LEARNT)[-1]
    camera.gate.acting = [ALL]  # and stands still: the tube is held
    assert all(camera.see(50))


@pytest.mark.parametrize(("fps", "most"), [(25, 7.5), (7, 14)])
def test_what_acts_without_end_does_not_keep_it_awake(fps, most):
    """A false action, or a person who sits there: the noise beside it tells that of its box."""
    camera = Camera(fps=fps)
    camera.gate.acting = [[40.0, 20.0, 60.0, 50.0]]
    found = camera.see(400)
    assert 7 <= found.index(True) / fps <= most
    assert all(found[found.index(True) :])
    for x in (42, 45, 48):
        found = camera.see(1, camera.block(x))
    assert found == [False]


def test_what_acts_since_another_size_is_beside_what_is_learnt_after_as_long():
    camera = Camera()
    camera.see(250)
    camera.scene = camera.scene[:60]
    camera.gate.acting = [[40.0, 20.0, 60.0, 50.0]]
    found = camera.see(400)
    assert 7 <= found.index(True) / 25 <= 7.5


def test_when_an_early_action_ends_learning_does_not_wait():
    camera = Camera()
    camera.gate.acting = [[40.0, 20.0, 60.0, 50.0]]
    assert not any(camera.see(50))
    camera.gate.acting = []
    assert 3 <= camera.see(100).index(True) / 25 <= 3.2


def test_what_acts_and_moves_is_watched():
    camera = Camera()
    camera.gate.acting = [[10.0, 10.0, 50.0, 40.0]]
    moving = (camera.block(20 + 4 * (number % 5)) for number in range(400))
    assert not any(camera.see(1, scene)[0] for scene in moving)


def test_what_acts_in_two_places_by_turns_is_watched_in_both():
    camera = Camera(noise=1)
    boxes = [[10.0, 30.0, 22.0, 46.0], [70.0, 30.0, 82.0, 46.0]]
    found = []
    for number in range(400):
        turn = number // 5 % 2
        camera.gate.acting = [boxes[turn]]
        scene = camera.scene.copy()
        x = int(boxes[1 - turn][0]) + 3 * (number % 2)
        scene[32:44, x : x + 9] += 25
        found.append(camera.gate.is_still(camera.frame(scene)))
    assert camera.gate.threshold is not None
    assert not any(found[-200:])


def test_limits_are_not_learnt_within_half_of_its_size_around_what_acts():
    gate = MotionGate()
    for picture, cells in (((72, 96), (60, 80)), ((80, 160), (40, 80))):
        gate.acting = [[40.0, 20.0, 60.0, 50.0], [2.0, 2.0, 5.0, 4.0]]
        expected = np.ones(cells, bool)
        down, across = np.array(cells) / picture
        for x1, y1, x2, y2 in ((30, 5, 70, 65), (0.5, 1, 6.5, 5)):
            rows = slice(round(y1 * down), round(y2 * down) + 1)
            expected[rows, round(x1 * across) : round(x2 * across) + 1] = False
        assert (gate._free_cells(cells, picture) == expected).all()


def test_its_time_is_that_of_the_source():
    camera = Camera()
    camera.see(26)
    assert camera.gate.now == pytest.approx(1)


def test_it_rests_again_when_the_motion_is_over():
    camera = Camera()
    camera.see(LEARNT)
    for x in range(0, 90, 3):
        awake = camera.see(1, camera.block(x))
    assert awake == [False]
    found = camera.see(75)
    assert not any(found[:25])
    assert found[-1]
    assert camera.gate.wakes == 1


def test_what_moves_from_the_start_never_rests(caplog):
    camera = Camera()
    for number in range(400):
        x = number * 5 % 120 - 12
        assert camera.see(1, camera.block(x)) == [False]
    assert camera.gate.summary().threshold is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_lamp_and_a_key_frame_are_no_motion():
    camera = Camera(noise=1)
    camera.see(LEARNT)
    camera.scene = camera.scene * 1.1 + 10
    assert all(camera.see(50))
    pulse = cv2.resize(camera.random.normal(0, 6, (24, 32, 3)), (WIDTH, HEIGHT))
    camera.scene = camera.scene + pulse
    assert all(camera.see(50))


def test_what_changes_slowly_in_one_place_is_seen_in_the_end():
    camera = Camera(noise=1)
    camera.see(LEARNT)
    found = [camera.see(1, camera.block(10, side=20, level=min(255, 4 * k)))[0] for k in range(80)]
    assert not all(found)


def test_more_noise_is_learnt_when_nobody_acts_in_it():
    camera = Camera(noise=1)
    camera.see(LEARNT)
    before, camera.noise = camera.gate.threshold, 16
    assert not all(camera.see(100))
    camera.gate.acting = [ALL]
    assert not any(camera.see(400)[50:])
    camera.gate.acting = []
    assert camera.see(400)[-1]
    assert camera.gate.threshold > before


def test_less_noise_is_learnt_in_a_minute_of_rest():
    camera = Camera(noise=16)
    camera.see(LEARNT)
    before, camera.noise = camera.gate.threshold, 1
    assert all(camera.see(25 * 62))
    assert camera.gate.threshold < before


@pytest.mark.parametrize("gap", ["reconnect", "seek"])
def test_after_a_break_it_is_awake_and_knows_the_noise(gap):
    camera = Camera()
    camera.see(LEARNT)
    camera.scene = np.flip(camera.scene, axis=1)
    assert not camera.gate.is_still(camera.frame(gap=gap))
    found = camera.see(60)
    assert not any(found[:20])
    assert found[-1]


def test_another_size_is_learnt_anew():
    camera = Camera()
    camera.see(LEARNT)
    large = np.zeros((90, 90, 3), np.uint8)
    found = [
        camera.gate.is_still(Frame(number, number / 25, large))
        for number, _ in zip(count(camera.index), range(LEARNT), strict=False)
    ]
    assert not any(found[:75])
    assert found[-1]


@pytest.mark.parametrize("times", ["still", "back", "jump"])
def test_times_that_cannot_be_do_not_matter(times):
    camera = Camera()
    for index in range(150):
        time = {"still": 7.0, "back": -float(index), "jump": 3600.0 * index}[times]
        found = camera.gate.is_still(camera.frame(time=time))
    assert found
