from __future__ import annotations

import pytest

from edgekit.quantization.tflite.names import short_names

ROOT = "edgekit.targets.tflite.network.Named/edgekit.models.graph.Deployed_network/a.b.Net_network"
CONV = "torch.nn.modules.conv.Conv2d"
BOX = "torch.nn.modules.container.Sequential"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (f"{ROOT};;{ROOT}/{BOX}_stem/{CONV}_0;", "stem.0"),
        (f"{ROOT}/a.b._Block_3/{BOX}_expand/{CONV}_0;2", "Block_3.expand.0"),
        (f"{ROOT}/{BOX}_wh/t.ReLU6_1;;{ROOT};;{ROOT}/{BOX}_wh/{CONV}_0;;{ROOT}/{CONV}_x;", "wh.0"),
        (f"{ROOT}/{BOX}_up/a.DeformConv2d_4/{CONV}_conv_offset_mask;2", "up.4.conv_offset_mask"),
        (f"{ROOT}/{BOX}_up/t.ReLU_5;;{ROOT}/{BOX}_up/a.DeformConv2d_4;;{ROOT};", "up.4"),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
    ],
)
def test_a_layer_is_called_by_the_module_with_its_weights(name, short):
    others = [f"{ROOT}/{BOX}_other/{CONV}_{place};1" for place in (7, 8)]
    assert short_names([name, *others])[name] == short


def test_layers_of_one_module_keep_their_whole_names():
    names = [f"{ROOT}/{CONV}_0;{count}" for count in (1, 2)]
    assert short_names(names) == {name: name for name in names}
    assert short_names([]) == {}
