"""Tests what a run reports about dropped frames."""

import pytest

from edgekit.assets import under_load_file
from edgekit.cli.running.report import load_cost_line
from edgekit.running.load_cost import LoadCost, ProcessedShare, cost_of, processed_share, read_costs

TABLE = [LoadCost(25, 1.0, 1.0), LoadCost(12.5, 0.9, 0.8), LoadCost(5, 0.8, 0.4)]


@pytest.mark.parametrize(
    ("fps", "frame_map", "video_map"),
    [
        (60, 1.0, 1.0),
        (25, 1.0, 1.0),
        (50 / 3, 0.95, 0.9),
        (12.5, 0.9, 0.8),
        (5, 0.8, 0.4),
        (1, 0.8, 0.4),
    ],
)
def test_what_is_left_goes_by_the_time_between_two_frames(fps, frame_map, video_map):
    left = cost_of(fps, TABLE)
    assert (left.frame_map, left.video_map) == pytest.approx((frame_map, video_map))


def test_the_table_that_ships_is_one_of_a_model_that_loses_by_drops():
    table = read_costs(under_load_file())
    assert [cost.fps for cost in table] == [25, 12.5, 8.333, 5, 3.125]
    assert table[0] == LoadCost(25, 1.0, 1.0)
    # The detections of a frame that is taken are what they are in a run that drops none.
    assert all(cost.frame_map == 1.0 for cost in table)
    assert 0.3 < table[-1].video_map < 1


def test_nothing_is_expected_where_nothing_was_dropped():
    assert processed_share(100, 0, 25, 24.9) == ProcessedShare(1.0)
    assert ProcessedShare(1.0).to_json() == {"taken": 1.0}
    assert processed_share(0, 0, 25, 0.0) is None
    assert load_cost_line(ProcessedShare(1.0)) == ""
    assert load_cost_line(None) == ""


@pytest.mark.parametrize(
    ("declared", "fps", "rate"), [(25, 3.0, 12.5), (10, 3.0, 5.0), (1000, 12.0, 12.0)]
)
def test_drops_are_said_with_what_they_cost(declared, fps, rate):
    found = processed_share(50, 50, declared, fps)
    assert found.taken == 0.5
    assert found.expected.fps == rate
    assert 0 < found.expected.video_map < 1
    assert list(found.to_json()["expected"]) == ["fps", "frame_map", "video_map"]
    line = load_cost_line(found)
    assert line.startswith(f"50% of the frames were processed, {rate:.1f} per second.")
