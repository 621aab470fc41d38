"""The network ``pebble``: one convolution before the heads."""

from torch import Tensor, nn


class Pebble(nn.Module):
    """Returns the heads ``hm``, ``wh`` and ``reg`` at stride 4."""

    def __init__(self, classes: int, channels: int, head_conv: int) -> None:
        super().__init__()
        self.pebble_stem = nn.Conv2d(channels, 16, 7, 4, 3)
        for name, outputs in (("hm", classes), ("wh", 2), ("reg", 2)):
            head = (
                nn.Conv2d(16, head_conv, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(head_conv, outputs, 1),
            )
            setattr(self, name, nn.Sequential(*head))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.pebble_stem(x).relu()
        return {name: getattr(self, name)(x) for name in ("hm", "wh", "reg")}
