"""The target and the network. Their classes are imported only when they are used."""

from edgekit.models.registry import Architecture
from edgekit.targets.registry import Target

TARGET = Target(
    exporter="edgekit_example.export:ZippedExporter",
    sessions={"zipped": "edgekit_example.session:ZippedSession"},
)

NETWORK = Architecture(
    "edgekit_example.network:Pebble",
    head_conv=8,
    stem="pebble_stem.weight",
    has=("pebble_stem.bias",),
    narrowest=1,
)
