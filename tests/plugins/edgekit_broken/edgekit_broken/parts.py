from edgekit.targets.base import Session
from edgekit.targets.registry import Target

TARGET = Target("edgekit.targets.onnx.export:OnnxExporter", {"hollow": "nowhere:Session"})
HOLLOW = Target("edgekit_broken.parts:Wrong", {"hollow": "edgekit_broken.raising:Session"})
FAILING = Target("edgekit_broken.parts:Wrong", {"failing": "edgekit_broken.parts:FailingSession"})
TEXT = "not a function"


class Wrong:
    pass


def make_sink(argument, source_index):
    raise NotImplementedError


def make_wrong(argument, source_index):
    return Wrong()


def open_failing(address, options):
    raise ZeroDivisionError("no signal")


class FailingSession(Session):
    runtime = "failing"

    @classmethod
    def check_machine(cls):
        raise KeyError("board")

    def _open(self):
        raise KeyError("board")

    def _run(self, inputs):
        raise NotImplementedError

    def _release(self):
        pass

    def describe(self):
        return {}
