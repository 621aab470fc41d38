from __future__ import annotations

import functools
import hashlib
import itertools

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.synthetic import CLASSES, render_clip
from edgekit.synthetic.actions import ACTIONS
from edgekit.synthetic.body import Looks
from edgekit.synthetic.shapes import extent, paint

SEEDS = range(12)
"""Of clips that are looked at closely."""

clip_of = functools.cache(render_clip)


def checksum(seed):
    digest = hashlib.sha256()
    clip = render_clip(seed, frames=12)
    for image in clip:
        digest.update(image.tobytes())
    for tube in clip.tubes:
        digest.update(np.rint(tube.boxes * 16).astype("<i4").tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(0, "bd210df8629fa004"), (3, "2965c739e065e3b4"), (1007, "d8193bb192dacdcf")],
)
def test_a_seed_gives_the_same_bytes_on_every_machine(seed, expected):
    assert checksum(seed) == expected


def test_iterating_again_gives_the_same_frames():
    clip = render_clip(5, frames=10)
    for first, again in zip(clip, clip, strict=True):
        assert np.array_equal(first, again)


def test_frames_have_the_size_and_the_number_that_were_asked_for():
    frames = list(render_clip(2, frames=9, size=(120, 200)))
    assert len(frames) == 9
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((120, 200, 3), "uint8")}


def test_the_truth_lies_within_clip_and_picture():
    for seed in SEEDS:
        clip = clip_of(seed)
        for tube in clip.tubes:
            assert 0 <= tube.start < tube.end <= len(clip)
            assert (tube.boxes[:, :2] >= 0).all()
            assert (tube.boxes[:, 2:] <= clip.size[::-1]).all()
            assert (tube.boxes[:, 2:] > tube.boxes[:, :2]).all()


def test_every_action_occurs_acted_and_held():
    clips = [clip_of(seed) for seed in range(40)]
    figures = [figure for clip in clips for figure in clip.figures]
    names = {action.label for action in ACTIONS}
    assert {figure.action.label for figure in figures if figure.start < figure.end} == names
    assert {figure.action.label for figure in figures if figure.start == figure.end} == names
    assert {CLASSES[tube.label] for clip in clips for tube in clip.tubes} == names


def test_who_holds_still_is_not_annotated_and_does_not_move():
    for seed in SEEDS:
        clip = clip_of(seed)
        acting = [figure for figure in clip.figures if figure.start < figure.end]
        still = [figure for figure in clip.figures if figure.start == figure.end]
        assert {tube.label for tube in clip.tubes} <= {
            CLASSES.index(figure.action.label) for figure in acting
        }
        for figure in still:
            assert figure.parts(0) == figure.parts(len(clip) - 1)


def test_who_acts_moves_in_every_frame_of_the_tube():
    for seed in SEEDS:
        for figure in clip_of(seed).figures:
            for frame in range(figure.start, figure.end):
                before, now = figure.parts(frame - 1), figure.parts(frame)
                if not now:
                    break
                ways = [
                    max(abs(a - b) for a, b in zip(p, q, strict=True))
                    for old, new in zip(before, now, strict=True)
                    for p, q in zip(old.points, new.points, strict=True)
                ]
                assert max(ways) > 0.012 * figure.height


def test_a_held_moment_looks_like_the_moment_in_passing():
    for action in ACTIONS:
        clip = next(
            clip
            for clip in map(clip_of, itertools.count())
            if any(f.action is action and f.start < f.end for f in clip.figures)
        )
        figure = next(f for f in clip.figures if f.action is action and f.start < f.end)
        parts = figure.parts(figure.start)
        held = action.parts(figure.phase + 1 / figure.period, figure.looks)
        assert [part.colour for part in parts] == [part.colour for part in held]
        x1, y1, x2, y2 = extent(held)
        a, b, c, d = extent(parts)
        assert c - a == pytest.approx((x2 - x1) * figure.height)
        assert d - b == pytest.approx((y2 - y1) * figure.height)


def test_the_box_is_where_the_person_is_painted():
    looks = Looks(*[(0, 0, 255)] * 6, prop=(255, 0, 0), second=(255, 0, 0))
    for action in ACTIONS:
        image = np.zeros((300, 400, 3), np.uint8)
        parts = [
            part._replace(points=[(180 + 150 * x, 220 + 150 * y) for x, y in part.points])
            for part in action.parts(0.3, looks)
            if part.body
        ]
        paint(image, parts)
        rows, columns = np.nonzero(image[..., 2] > 127)
        # Painting goes half a pixel beyond the edge.
        painted = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert painted == pytest.approx(extent(parts), abs=1.6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": -1},
        {"seed": 0, "frames": 2},
        {"seed": 0, "size": (32, 320)},
        {"seed": 0, "fps": 0},
        {"seed": 0, "fps": float("nan")},
    ],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match="A clip needs"):
        render_clip(**arguments)


@pytest.mark.parametrize(("fps", "frames"), [(12.5, 20), (50, 80), (60, 96)])
def test_another_rate_shows_the_same_scene_at_other_moments(fps, frames):
    clip, usual = render_clip(3, frames=40, fps=fps), render_clip(3, frames=40)
    assert len(list(clip)) == len(clip) == frames
    assert [tube.label for tube in clip.tubes] == [tube.label for tube in usual.tubes]
    for tube, same in zip(clip.tubes, usual.tubes, strict=True):
        for index, box in enumerate(tube.boxes, tube.start):
            moment = index * 25 / fps
            if moment.is_integer():
                assert np.array_equal(box, same.boxes[int(moment) - same.start])
    # The noise differs, the moments do not.
    pictures, others = list(clip), list(usual)
    for index in range(0, frames):
        moment = index * 25 / fps
        if moment.is_integer():
            difference = pictures[index].astype(int) - others[int(moment)]
            assert np.abs(difference.mean()) < 0.5
            assert np.abs(difference).max() < 40
