from __future__ import annotations

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.detector_slot import DetectorSlot
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Frame

FRAME = Frame(0, 0.0, np.zeros((4, 4, 3), np.uint8))


class Named:
    def __init__(self, name, interval=None):
        self.name = name
        self.classes = ("a",)
        self._interval = interval

    def recent_frames(self):
        return None if self._interval is None else RecentFrames(self._interval)


def test_each_frame_keeps_its_detector_and_the_old_one_is_free_after_its_last():
    slot = DetectorSlot(Named("old"), ("old", ""))
    first, second = slot.take(FRAME), slot.take(FRAME)
    unused = slot.replace(Named("new"), ("new", ""))
    third = slot.take(FRAME)
    assert [each.detector.name for each in (first, second, third)] == ["old", "old", "new"]
    slot.leave(first)
    assert not unused.is_set()
    slot.leave(second)
    assert unused.is_set()


def test_a_detector_without_frames_is_free_at_once():
    slot = DetectorSlot(Named("old"), ("old", ""))
    assert slot.replace(Named("unseen"), ("unseen", "")).is_set()
    assert slot.replace(Named("new"), ("new", "")).is_set()
    assert slot.take(FRAME).bundle == ("new", "")


def test_at_the_end_of_a_run_every_replaced_detector_is_free():
    slot = DetectorSlot(Named("old"), ("old", ""))
    slot.take(FRAME)  # dropped: the run ends before it leaves
    unused = slot.replace(Named("new"), ("new", ""))
    assert not unused.is_set()
    slot.close()
    assert unused.is_set()
    assert slot.replace(Named("late"), ("late", "")).is_set()


def test_only_live_sources_look_for_pictures_that_were_encoded_again():
    for live in (False, True):
        slot = DetectorSlot(Named("old", 0.04), ("old", ""), live=live)
        slot.replace(Named("new", 0.08), ("new", ""))
        recent = slot.current.recent
        assert (recent.interval, recent.reencoded) == (0.08, live)


@pytest.mark.parametrize("bundle", ["ab", ("ab",), ("ab", "1", "c"), ("ab", None), ["ab", "1"]])
def test_a_bundle_is_a_name_and_a_checksum(bundle):
    slot = DetectorSlot(Named("old"), ("old", ""))
    with pytest.raises(UsageError, match="a tuple of name and SHA-256"):
        slot.replace(Named("new"), bundle)
    assert slot.current.bundle == ("old", "")


def test_frames_are_paired_by_the_rate_that_the_source_declares():
    for fps, is_paired in ((25, True), (500, False)):
        slot = DetectorSlot(Named("old"), ("old", ""), fps=fps)
        slot.replace(Named("new", 0.04), ("new", ""))
        given = [
            Frame(index, index / 500, np.full((4, 4, 3), index, np.uint8)) for index in range(2)
        ]
        paired = [slot.current.recent.add(frame) for frame in given]
        # The first pictures of a fast camera lie too near for a pair.
        assert (paired[1].earlier is given[0].image) == is_paired
