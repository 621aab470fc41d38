from edgekit.targets.registry import Target

TARGET = Target("edgekit.targets.onnx.export:OnnxExporter", {"hollow": "nowhere:Session"})
HOLLOW = Target("edgekit_broken.parts:Wrong", {"hollow": "edgekit_broken.raising:Session"})
TEXT = "not a function"


class Wrong:
    pass


def make_sink(argument, source_index):
    raise NotImplementedError


def make_wrong(argument, source_index):
    return Wrong()


def open_failing(address, options):
    raise ZeroDivisionError("no signal")
