"""Tests that a batch gives the same results as single frames."""

from __future__ import annotations

import numpy as np
import onnxruntime

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.speed.batches import with_batch


def test_a_batch_gives_what_its_frames_give():
    model = default_bundle(precision="fp32") / "model.onnx"
    one, two = (
        onnxruntime.InferenceSession(with_batch(model, count), providers=["CPUExecutionProvider"])
        for count in (1, 2)
    )
    (given,) = one.get_inputs()
    frames = np.random.default_rng(1).random((2, *given.shape[1:]), np.float32)
    together = two.run(None, {given.name: frames})
    for number in range(2):
        alone = one.run(None, {given.name: frames[number : number + 1]})
        for single, batch in zip(alone, together, strict=True):
            np.testing.assert_allclose(batch[number], single[0], atol=1e-4)
