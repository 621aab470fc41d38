from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle import RoundingCheck
from edgekit.quantization.base import Layer
from edgekit.quantization.search import damage, search

LAYERS = st.lists(
    st.tuples(st.floats(1e-4, 0.05), st.integers(1, 1000)), min_size=1, max_size=12
).map(lambda rows: [(Layer(f"l{i}", "Conv", macs), loss) for i, (loss, macs) in enumerate(rows)])


def check(drop, decibels=30.0):
    return RoundingCheck(
        frames=1,
        objects=1,
        annotated=True,
        float_map=1,
        frame_map=1 - drop,
        agreement=1,
        sqnr={"hm": decibels},
    )


class Model:
    """Loses the sum of what its rounded layers lose."""

    def __init__(self, rows):
        self.loss = {layer.name: loss for layer, loss in rows}
        self.layers = [layer for layer, _ in rows]
        self.measured = 0

    def drop(self, kept):
        return sum(loss for name, loss in self.loss.items() if name not in kept)

    def check(self, kept):
        return check(self.drop(kept))

    def measure(self, layers):
        self.measured += 1
        losses = {layer.name: self.loss[layer.name] for layer in layers}
        return {name: check(loss, -1000 * loss) for name, loss in losses.items()}


@given(LAYERS, st.floats(0, 0.2))
def test_the_last_step_holds_the_bound_where_one_can(rows, bound):
    model = Model(rows)
    steps, measured = search(model.layers, model.check, model.measure, max_drop=bound)
    last = steps[-1]
    assert last.check.drop <= bound + 1e-9 or all(s.check.drop > bound for s in steps)
    if last.check.drop > bound and len(rows) > 1:
        assert len(last.kept) == len(rows) - 1
    assert bool(measured) == (steps[0].check.drop > bound)


@given(LAYERS, st.floats(1e-4, 0.2))
def test_no_fewer_of_the_worst_layers_would_do(rows, bound):
    model = Model(rows)
    steps, measured = search(model.layers, model.check, model.measure, max_drop=bound)
    last = steps[-1]
    if not measured or last.check.drop > bound:
        return
    worth = {layer.name: damage(measured[layer.name]) / layer.macs for layer in model.layers}
    order = sorted(worth, key=lambda name: -worth[name])
    assert last.kept == set(order[: len(last.kept)])
    assert model.drop(set(order[: len(last.kept) - 1])) > bound - 1e-9


@given(LAYERS, st.floats(0, 0.2))
def test_what_is_to_stay_float_stays_float(rows, bound):
    model = Model(rows)
    steps, _ = search(
        model.layers, model.check, model.measure, max_drop=bound, fixed=frozenset({"l0"})
    )
    assert all("l0" in step.kept for step in steps)


def test_nothing_is_measured_where_the_bound_holds_at_once():
    model = Model([(Layer("a", "Conv", 1), 0.005)])
    steps, measured = search(model.layers, model.check, model.measure, max_drop=0.01)
    assert (len(steps), measured, model.measured) == (1, {}, 0)


def test_where_there_are_no_heads_lost_detections_are_the_damage():
    lost = msgspec.structs.replace(check(0), sqnr={}, agreement=0.75)
    assert damage(lost) == 0.25
    assert damage(check(0, 20)) > damage(check(0, 30)) > 0
