"""Tests the queue of a sink against a plain list."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.media.sinks._backlog import Backlog, SinkCall
from edgekit.pipeline.results import FrameResult
from edgekit.runtime.types import Detections, Frame


def picture(side):
    image = np.zeros((side, side, 3), np.uint8)
    return FrameResult(Frame(0, 0.0, image), Detections.empty(1), [])


def room(waiting, value, most):
    if isinstance(value, FrameResult):
        held = [call.value.frame.image.nbytes for call in waiting if call.kind == "frame"]
        if held and (len(held) >= 3 or sum(held) + value.frame.image.nbytes > 1000):
            return False
    return most is None or len(waiting) < most


@given(
    st.lists(st.sampled_from(["take", "clear", "tube", "gap", "end", 4, 9, 30])),
    st.sampled_from([5, None]),
)
def test_as_a_list_would_hold_them(steps, most):
    backlog, waiting = Backlog(frames=3, pixels=1000, most=most), []
    for number, step in enumerate(steps):
        if step == "take":
            if waiting:
                assert backlog.take() is waiting.pop(0)
        elif step == "clear":
            assert backlog.clear() == sum(call.kind != "end" for call in waiting)
            waiting = []
        else:
            call = (
                SinkCall("frame", picture(step), number)
                if step in (4, 9, 30)
                else SinkCall(step, 0, 0)
            )
            assert backlog.has_room_for(call.value) == room(waiting, call.value, most)
            backlog.put(call)
            waiting.append(call)
        assert len(backlog) == len(waiting)
