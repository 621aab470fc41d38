from __future__ import annotations

import numpy as np
import torch

from edgekit.training.optimization.losses import Batch, centernet_loss


def a_batch():
    rng = np.random.default_rng(0)
    heatmap = rng.uniform(0, 0.9, (2, 3, 4, 5)).astype(np.float32)
    heatmap[0, 1, 2, 3] = heatmap[1, 0, 0, 0] = 1
    cells = np.array([[2 * 5 + 3, 0], [0, 0]])
    sizes, offsets = rng.uniform(0, 5, (2, 2, 2, 2)).astype(np.float32)
    mask = np.array([[1, 0], [1, 0]], np.float32)
    arrays = (rng.normal(size=(2, 6, 16, 20)), heatmap, cells, sizes, offsets, mask)
    return Batch(*map(torch.from_numpy, arrays))


def outputs(seed):
    rng = np.random.default_rng(seed)
    shapes = {"hm": (2, 3, 4, 5), "wh": (2, 2, 4, 5), "reg": (2, 2, 4, 5)}
    return {n: torch.from_numpy(rng.normal(size=s).astype(np.float32)) for n, s in shapes.items()}


def test_the_loss_is_that_of_the_paper():
    batch, found = a_batch(), outputs(1)
    score = 1 / (1 + np.exp(-found["hm"].numpy().astype(np.float64)))
    truth = batch.heatmap.numpy()
    focal = 0.0
    for p, y in zip(score.ravel(), truth.ravel(), strict=True):
        if y == 1:
            focal -= (1 - p) ** 2 * np.log(p)
        else:
            focal -= (1 - y) ** 4 * p**2 * np.log(1 - p)
    l1 = {
        name: sum(
            np.abs(found[name].numpy()[n, :, r, c] - target.numpy()[n, 0]).sum()
            for n, (r, c) in enumerate([(2, 3), (0, 0)])
        )
        for name, target in (("wh", batch.sizes), ("reg", batch.offsets))
    }
    losses = centernet_loss(found, batch)
    np.testing.assert_allclose(losses["hm"], focal / 2, rtol=1e-5)
    np.testing.assert_allclose(losses["wh"], l1["wh"] / 2, rtol=1e-5)
    np.testing.assert_allclose(losses["reg"], l1["reg"] / 2, rtol=1e-5)
    total = losses["hm"] + 0.1 * losses["wh"] + losses["reg"]
    np.testing.assert_allclose(losses["total"], total, rtol=1e-6)


def test_extreme_logits_stay_finite():
    found = outputs(2)
    found["hm"] = torch.full((2, 3, 4, 5), 200.0)
    assert torch.isfinite(centernet_loss(found, a_batch())["total"])


def test_a_batch_without_actors_has_a_loss():
    batch = a_batch()
    batch.mask.zero_()
    batch.heatmap.clamp_(max=0.9)
    losses = centernet_loss(outputs(3), batch)
    assert losses["wh"] == 0
    assert losses["hm"] > 0


def test_parts_of_a_batch_add_up():
    """The loss of a batch is the sum over its parts, each divided by the actors of all."""
    batch, found = a_batch(), outputs(4)
    whole = centernet_loss(found, batch)
    fields = ("input", "heatmap", "cells", "sizes", "offsets", "mask")
    total = batch.mask.sum()
    parts = [
        centernet_loss(
            {name: value[n : n + 1] for name, value in found.items()},
            Batch(*(getattr(batch, field)[n : n + 1] for field in fields)),
            total,
        )
        for n in range(2)
    ]
    for name, value in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], value)
