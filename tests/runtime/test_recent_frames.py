"""Tests which picture a frame is compared with, at any rate and with drops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Frame


def picture(number, shape=(8, 8, 3)):
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def frames(times, **changes):
    return [Frame(index, time, picture(index), **changes) for index, time in enumerate(times)]


def partners(found, given):
    """For each frame the index of the picture that it was paired with; None for none."""
    numbers = {id(frame.image): frame.index for frame in given}
    return [None if f.earlier is None else numbers[id(f.earlier)] for f in found]


@pytest.mark.parametrize(
    ("fps", "back"),
    [(5, 1), (12.5, 1), (15, 1), (25, 1), (30, 1), (50, 2), (60, 2), (100, 4), (120, 5)],
)
def test_the_earlier_picture_is_the_one_nearest_to_the_interval(fps, back):
    given = frames(index / fps for index in range(40))
    recent = RecentFrames(0.04)
    found = partners(map(recent.add, given), given)
    assert found[back:] == list(range(40 - back))
    # As where pictures are counted: the first ones have none that lies far enough back.
    assert found[:back] == [None if index / fps < 0.03 else 0 for index in range(back)]


@pytest.mark.parametrize("fps", [480, 600, 1000])
def test_a_camera_of_high_speed_is_paired_by_time_if_it_declares_its_rate(fps):
    given = frames(0.5 + index / fps for index in range(120))
    recent = RecentFrames(0.04)
    recent.expect(fps)
    found = partners(map(recent.add, given), given)
    # Only sixteen pictures are kept, spread over the interval.
    assert all(0.03 < given[n].time - given[found[n]].time < 0.05 for n in range(50, 120))


def test_pictures_that_come_faster_than_the_source_declares_are_a_burst():
    given = frames(0.5 + index / 600 for index in range(20))
    recent = RecentFrames(0.04)
    recent.expect(25)
    assert partners(map(recent.add, given), given)[1:] == list(range(19))


def test_a_scene_that_stands_still_in_a_slow_source_is_compared_with_itself():
    still = picture(1)
    recent = RecentFrames(0.04)
    recent.expect(1 / 90)
    recent.add(Frame(0, 0.0, picture(0)))
    recent.add(Frame(1, 90.0, still))
    assert recent.add(Frame(2, 180.0, still.copy())).earlier is still


@given(
    st.one_of(
        st.lists(st.floats(0.004, 0.3), min_size=2, max_size=60),
        st.lists(st.floats(0.004, 0.02), min_size=40, max_size=120),
    ),
    st.floats(0.01, 0.2),
)
def test_no_kept_picture_is_nearer_than_the_one_chosen(steps, interval):
    times = np.cumsum([0.0, *steps]).tolist()
    given = frames(times)
    recent = RecentFrames(interval)
    for frame, partner in zip(given, partners(map(recent.add, given), given), strict=True):
        if partner is None:
            assert frame.time < 0.75 * interval + 1e-9
            continue
        wanted = frame.time - interval
        distances = [abs(time - wanted) for time in times[: frame.index]]
        # Sixteen are kept: the last ones, or those that are spread over a longer time.
        reachable = distances[max(0, frame.index - 16) :]
        assert abs(times[partner] - wanted) <= max(min(reachable), interval / 6) + 1e-9
        # Where an interval and what follows it never had more frames, the choice is exact.
        if all(times[n] - times[max(0, n - 14)] > interval for n in range(15, frame.index + 1)):
            assert abs(times[partner] - wanted) <= min(distances) + 1e-9


@given(
    st.lists(
        st.one_of(
            st.floats(0, 1), st.sampled_from([0.0, -5.0, 1e9, -1e9, float("nan"), float("inf")])
        ),
        min_size=1,
        max_size=50,
    )
)
def test_times_that_cannot_be_are_steps_of_the_interval(steps):
    recent, time = RecentFrames(0.04), 0.0
    given = []
    for index, step in enumerate(steps):
        time = step if abs(step) > 1e6 or step != step else time + step
        frame = Frame(index, time, picture(index))
        given.append(frame)
        found = recent.add(frame)
        assert found.earlier is not None or index == 0 or 0 < time - given[0].time < 0.03
        assert len(recent._kept) <= 16


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 0.0, float("nan")])
def test_a_clock_that_jumps_does_not_part_consecutive_pictures(jump):
    times = [0.0, 0.04, 0.08, 0.08 + jump, 0.12 + jump, 0.16 + jump]
    given = frames(times)
    recent = RecentFrames(0.04)
    assert partners(map(recent.add, given), given) == [None, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("gap", ["reconnect", "resize", "seek"])
def test_a_real_break_begins_anew_and_a_dropped_frame_does_not(gap):
    given = frames(index / 25 for index in range(6))
    given[2] = Frame(2, 0.08, given[2].image, "dropped")
    given[4] = Frame(4, 0.16, given[4].image, gap)
    recent = RecentFrames(0.04)
    assert partners(map(recent.add, given), given) == [None, 0, 1, 2, None, 4]


def test_another_size_begins_anew():
    recent = RecentFrames(0.04)
    recent.add(Frame(0, 0.0, picture(0)))
    assert recent.add(Frame(1, 0.04, picture(1, (8, 16, 3)))).earlier is None


def test_pixels_of_another_shape_begin_anew():
    recent = RecentFrames(0.04)
    recent.add(Frame(0, 0.0, picture(0)))
    assert recent.add(Frame(1, 0.04, picture(1), sample_aspect=2.0)).earlier is None
    assert recent.add(Frame(2, 0.08, picture(2), sample_aspect=2.0)).earlier is not None


@pytest.mark.parametrize("every", [2, 5])
def test_a_picture_given_again_is_compared_with_what_its_first_appearance_was(every):
    images = [picture(n) for n in range(40)]
    for n in range(every - 1, 40, every):
        images[n] = images[n - 1].copy()
    recent = RecentFrames(0.04)
    found = [recent.add(Frame(n, n / 25, image)) for n, image in enumerate(images)]
    for n in range(2 * every, 40):
        assert not np.array_equal(found[n].earlier, images[n])
        if n % every == every - 1:
            assert found[n].earlier is found[n - 1].earlier


def test_a_picture_encoded_again_counts_as_given_again():
    images = [picture(n, (64, 64, 3)) for n in range(20)]
    noise = np.random.default_rng(0)
    for n in range(5, 20, 2):
        change = noise.integers(-1, 2, images[n].shape)
        images[n] = np.clip(images[n - 1] + change, 0, 255).astype(np.uint8)
        images[n][0, 0] = 255 - images[n - 1][0, 0]  # a few samples may change by more
    recent, plain = RecentFrames(0.04), RecentFrames(0.04)
    recent.reencoded = True
    found = [recent.add(Frame(n, n / 25, image)) for n, image in enumerate(images)]
    for n in range(7, 20, 2):
        assert found[n].earlier is found[n - 1].earlier
        assert found[n].earlier is not images[n - 1]
    # The pictures of a file keep their order: figures on published clips stay what they are.
    kept = [plain.add(Frame(n, n / 25, image)).earlier for n, image in enumerate(images)]
    assert all(earlier is image for earlier, image in zip(kept[1:], images, strict=False))


def test_a_scene_that_stands_still_is_compared_with_itself_in_the_end():
    still = picture(0)
    recent = RecentFrames(0.04)
    before = recent.add(Frame(0, 0.0, picture(1)))
    found = [recent.add(Frame(n, n / 25, still)) for n in range(1, 20)]
    assert found[1].earlier is before.image
    assert found[-1].earlier is not None
    assert np.array_equal(found[-1].earlier, still)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_refined_repeat_is_distinguished_from_a_small_motion_in_a_still_scene(every):
    """H.264 changes a repeat a little everywhere: in sum by more than a limb that moves."""
    noise = np.random.default_rng(1)
    scene = noise.integers(40, 200, (240, 320, 3)).astype(np.uint8)

    def shown(n):
        image = scene.copy()
        image[100:130, 4 * n % 280 : 4 * n % 280 + 30] = 255 * (n % 2)
        return image

    images = [shown(n) for n in range(40)]
    repeated = range(every - 1, 40, every)
    for n in repeated:
        refined = images[n - 1] + noise.integers(-9, 10, scene.shape)
        images[n] = np.clip(refined, 0, 255).astype(np.uint8)
    recent = RecentFrames(0.04)
    recent.reencoded = True
    found = [recent.add(Frame(n, n / 25, image)) for n, image in enumerate(images)]
    for n in range(4 * every, 40):
        again = n in repeated
        assert (found[n].earlier is found[n - 1].earlier) == again, n


def refined(noise, image):
    return np.clip(image + noise.integers(-3, 4, image.shape), 0, 255).astype(np.uint8)


def test_where_motion_ends_one_picture_at_most_is_taken_for_a_repeat():
    noise = np.random.default_rng(3)
    images = [picture(n, (64, 64, 3)) for n in range(20)]
    images += [refined(noise, images[-1]) for _ in range(20)]
    recent = RecentFrames(0.04)
    recent.reencoded = True
    found = [recent.add(Frame(n, n / 25, image)) for n, image in enumerate(images)]
    for n in range(22, 40):
        assert found[n].earlier is images[n - 1]


def reencoded(images, gaps=()):
    """What frames of a camera at 25 per second are compared with; some begin anew."""
    recent = RecentFrames(0.04)
    recent.reencoded = True
    return [
        recent.add(Frame(n, n / 25, image, "reconnect" if n in gaps else "")).earlier
        for n, image in enumerate(images)
    ]


@pytest.mark.parametrize(("change", "is_repeated"), [(25, True), (35, False)])
def test_a_repeat_changes_by_less_than_a_third_of_what_a_new_picture_does(change, is_repeated):
    levels = [0, 100] * 5 + [100 - change, 0, change, 100] * 5  # every second one is new
    earlier = reencoded([np.full((64, 64, 3), level, np.uint8) for level in levels])
    for n in range(10, 30, 2):
        assert (earlier[n] is earlier[n - 1]) == is_repeated


def test_a_repeat_of_the_first_picture_is_compared_with_itself():
    first = picture(0)
    recent = RecentFrames(0.04)
    assert recent.add(Frame(0, 0.0, first)).earlier is None
    assert recent.add(Frame(1, 0.04, first.copy())).earlier is first


def test_a_scene_that_is_calm_twice_is_not_taken_for_one_of_long_repeats():
    noise = np.random.default_rng(5)
    images = []
    for begin in (0, 100):
        images += [picture(begin + n, (64, 64, 3)) for n in range(20)]
        images += [refined(noise, images[-1]) for _ in range(20)]
    earlier = reencoded(images)
    for n in range(62, 80):
        assert earlier[n] is images[n - 1]


@pytest.mark.parametrize("last", [43, 40])
def test_after_a_reconnect_repeats_are_learnt_anew(last):
    """The source before it repeated each picture three times, the last one twice or not."""
    noise = np.random.default_rng(6)
    images = []
    for n in range(last):
        again = n % 4
        images.append(refined(noise, images[n - again]) if again else picture(n, (64, 64, 3)))
    images += [picture(100 + n, (64, 64, 3)) for n in range(20)]
    images += [refined(noise, images[-1]) for _ in range(20)]
    earlier = reencoded(images, {last})
    assert earlier[last] is None
    for n in range(last + 22, last + 40):
        assert earlier[n] is images[n - 1]


def test_a_calm_source_after_a_reconnect_repeats_nothing():
    noise = np.random.default_rng(7)
    images = [picture(n, (64, 64, 3)) for n in range(20)]
    images += [refined(noise, picture(99, (64, 64, 3))) for _ in range(20)]
    earlier = reencoded(images, {20})
    assert all(earlier[n] is images[n - 1] for n in range(21, 40))


def test_motion_between_the_pixels_that_are_compared_first_is_no_repeat():
    images = [np.zeros((128, 128, 3), np.uint8) for _ in range(9)]
    for n, image in enumerate(images):
        image[2 * n + 1, 31] = 255
    recent = RecentFrames(0.04)
    found = [recent.add(Frame(n, n / 25, image)).earlier for n, image in enumerate(images)]
    assert all(found[n] is images[n - 1] for n in range(1, 9))


@pytest.mark.parametrize("shown", [3, 4])
def test_how_often_a_source_repeats_a_picture_is_learnt(shown):
    noise = np.random.default_rng(4)
    images = []
    for n in range(80):
        again = n % shown
        images.append(refined(noise, images[n - again]) if again else picture(n, (64, 64, 3)))
    recent = RecentFrames(0.04)
    recent.reencoded = True
    found = [recent.add(Frame(n, n / 25, image)) for n, image in enumerate(images)]
    for n in range(5 * shown, 80):
        assert (found[n].earlier is found[n - 1].earlier) == (n % shown > 0)


def test_calm_after_a_storm_is_not_taken_for_repeats():
    noise = np.random.default_rng(2)
    levels = [120] * 30 + [8] * 60
    images = [noise.integers(0, level, (64, 64, 3)).astype(np.uint8) for level in levels]
    recent = RecentFrames(0.04)
    recent.reencoded = True
    found = [recent.add(Frame(n, n / 25, image)) for n, image in enumerate(images)]
    for n in range(30 + 16, 90):
        assert found[n].earlier is images[n - 1]


def test_a_camera_that_changes_its_rate_is_followed_at_once():
    """As in the dark: 30 frames a second, 10, and 60."""
    steps = [1 / 30] * 30 + [1 / 10] * 10 + [1 / 60] * 60
    given = frames(np.cumsum([0.0, *steps]).tolist())
    recent = RecentFrames(0.04)
    found = partners(map(recent.add, given), given)
    assert found[1:41] == list(range(40))
    assert found[43:] == list(range(41, 99))


@pytest.mark.parametrize("step", [1e-3, 1e-7, 0.0])
def test_a_source_of_a_thousand_frames_a_second_or_of_no_rate_takes_no_more_memory(step):
    recent = RecentFrames(0.04)
    for index in range(200):
        found = recent.add(Frame(index, index * step, picture(index)))
        assert len(recent._kept) <= 16
        # No camera is that fast: the times say nothing, and the frame before is the best guess.
        assert index == 0 or np.array_equal(found.earlier, picture(index - 1))


@pytest.mark.parametrize(
    ("interval", "fps"), [(0.04, 450), (0.68, 25), (1.0, 25), (0.2, 120), (1.2, 30), (5.0, 30)]
)
def test_an_interval_of_more_frames_than_are_kept_is_kept_to(interval, fps):
    given = frames(index / fps for index in range(round(4 * interval * fps)))
    recent = RecentFrames(interval)
    for frame, partner in zip(given, partners(map(recent.add, given), given), strict=True):
        if frame.time > interval:
            assert frame.time - given[partner].time == pytest.approx(interval, rel=1 / 14)
        assert len(recent._kept) <= 16


def test_an_interval_of_as_many_frames_as_are_kept_is_exact():
    given = frames(index / 25 for index in range(80))
    found = partners(map(RecentFrames(0.64).add, given), given)
    assert found[16:] == list(range(64))


def test_frames_that_the_source_lost_leave_the_pair_to_the_nearest_that_came():
    """A gap within a pair: the pictures between were never decoded."""
    times = [n / 25 for n in (0, 1, 2, 3, 7, 8, 9)]
    given = frames(times)
    given[4] = Frame(4, times[4], given[4].image, "dropped")
    recent = RecentFrames(0.04)
    assert partners(map(recent.add, given), given) == [None, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("step", "is_repeated"), [(0.24, True), (0.26, False), (59.9, False), (60.5, True)]
)
def test_a_step_of_more_than_a_minute_is_not_believed(step, is_repeated):
    """A picture that came again at once is a repeated one, and one after a long time is not."""
    given = [
        Frame(0, 0.0, picture(0)),
        Frame(1, 0.04, picture(1)),
        Frame(2, 0.04 + step, picture(1)),
    ]
    recent = RecentFrames(0.04)
    found = [recent.add(frame) for frame in given][-1]
    assert np.array_equal(found.earlier, picture(0 if is_repeated else 1))
