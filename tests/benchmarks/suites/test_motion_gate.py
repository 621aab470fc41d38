"""Tests how the suite ``motion_gate`` counts lost and late tubes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgekit.benchmarks.suites.accuracy._puppet_stories import actors, story
from edgekit.benchmarks.suites.accuracy.motion_gate import ActorComparison, first_move, wake
from edgekit.benchmarks.suites.support.still_footage import KINDS, disturbed, write_h264
from edgekit.media import open_source
from edgekit.runtime.types import Tube
from edgekit.synthetic import render_clip


class Seen:
    def __init__(self, *tubes):
        self.ended = [tube for tube, _ in tubes]
        self.first = {tube.id: first for tube, first in tubes}


def tube(id, start, end, label=0, x=10.0):
    boxes = np.tile([x, 10, x + 20, 50], (end - start + 1, 1))
    ones = np.ones(len(boxes))
    return Tube(id, label, 0.8, start, end, boxes, ones, ones > 0)


def compared(actors, plain, gated):
    found = ActorComparison()
    found.add(actors, plain, gated)
    return found


def test_the_tubes_of_each_actor_are_compared():
    actors = [tube(-1, 10, 59), tube(-1, 10, 59, x=80)]
    plain = Seen((tube(0, 10, 59), 12), (tube(1, 10, 59, x=80), 12), (tube(2, 0, 9), 3))
    gated = Seen((tube(0, 9, 59, x=80), 13), (tube(1, 12, 59), 14), (tube(2, 12, 59, label=1), 14))
    assert compared(actors, plain, gated) == ActorComparison(2, 2, 2, 0, [2, -1], [2, 1])


@pytest.mark.parametrize(
    "others", [[], [tube(0, 10, 59, label=1)], [tube(0, 40, 59)], [tube(0, 10, 59, x=40)]]
)
def test_an_actor_without_a_tube_is_lost_or_gained(others):
    one, none = Seen((tube(0, 10, 59), 12)), Seen(*((other, other.start) for other in others))
    assert compared([tube(-1, 10, 59)], one, none) == ActorComparison(1, 1, 0, 1)
    assert compared([tube(-1, 10, 59)], none, one) == ActorComparison(1, 0, 1, 0)
    assert compared([tube(-1, 10, 59)], none, none) == ActorComparison(1, 0, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_still_scene_changes_every_picture_and_little(kind):
    still = np.random.default_rng(0).integers(60, 200, (12, 16, 3), dtype=np.uint8)
    still = still.repeat(8, axis=0).repeat(8, axis=1)
    found = list(disturbed(kind, 3, [still] * 20))
    assert [*map(bytes, disturbed(kind, 3, [still] * 20))] == [*map(bytes, found)]
    assert np.array_equal(next(disturbed(kind, 3, [still], strength=0)), still)
    for before, now in itertools.pairwise(found):
        change = np.abs(now.astype(float) - before)
        assert 0 < change.mean() < 25


def test_a_story_stands_still_before_and_after_it(tmp_path):
    pytest.importorskip("av")
    images = list(story(7000))
    assert len(images) == 150 + 80 + 75
    assert np.array_equal(images[0], images[150])
    assert not np.array_equal(images[150], images[200])
    assert all(150 <= tube.start < tube.end < 230 for tube in actors(7000))
    path = tmp_path / "story.mp4"
    write_h264(path, itertools.islice(images, 30), crf=30)
    with open_source(str(path)) as source:
        assert sum(1 for _ in source) == 30


def test_the_picture_that_wakes_the_gate_is_counted(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "scene.mp4"
    images = itertools.islice(story(7000), 1, 190)
    write_h264(path, disturbed("sensor noise", 7000, images), crf=KINDS["sensor noise"][2])
    rests, picture = wake(path, 150)
    assert rests
    assert picture is not None
    assert wake(path, 150 + picture)[0] is False
    assert wake(path, 50)[0] is False


@pytest.mark.parametrize("seed", [65001, 65300, 7000])
def test_the_first_move_is_the_first_picture_that_shows_one(seed):
    """In 65001 nothing but noise changes before a puppet moves."""
    clip = render_clip(seed)
    acting = [figure for figure in clip.figures if figure.end > figure.start]
    first = first_move(seed)
    moved = [[figure.parts(index) != figure.parts(0) for figure in acting] for index in range(40)]
    assert [any(row) for row in moved].index(True) == first
    assert not any(any(row) for row in moved[:first])
    if seed == 65001:
        images = [image.astype(int) for image in itertools.islice(clip, first + 3)]
        changed = [int((np.abs(image - images[0]) > 40).sum()) for image in images]
        assert max(changed[:first]) == 0 < changed[-1]
