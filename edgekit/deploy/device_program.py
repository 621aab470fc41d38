"""Assembles the program ``edgekit.deploy.on_device`` as one text, which a device runs."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

__all__ = ["device_program", "starter"]

_PROGRAM = "edgekit.deploy.on_device"
_MODULES = ("connection", "facts", "store", "unit", "releases", "environment", "service", "trial")
"""Modules of the program, each after those that it imports; ``agent`` is the last."""


def starter(length: int) -> str:
    """Returns the first code on the device, quoted: it names its Python and runs what follows.

    Python 2 and every Python 3 can run it.
    """
    return (
        '\'import sys;sys.stdout.write("edgekit-device %d.%d\\n" % sys.version_info[:2]);'
        f'sys.stdout.flush();exec(__import__("zlib").decompress(sys.stdin.buffer.read({length})))\''
    )


def device_program() -> bytes:
    """Returns the compressed source code of the program: its modules, made one after the other.

    It fits into a pipe, so sending it never waits for a device that says something else first.
    """
    sources = {f"{_PROGRAM}.{name}": _source(name) for name in (*_MODULES, "agent")}
    program = (
        "import sys, types\n"
        "def make(name, text):\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    module.__path__ = []\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        "for name in ('edgekit', 'edgekit.deploy', 'edgekit.deploy.on_device'):\n"
        "    make(name, '')\n"
        f"for name, text in {sources!r}.items():\n"
        "    make(name, text)\n"
        f"sys.modules['{_PROGRAM}.agent'].main()\n"
    )
    return zlib.compress(program.encode(), 9)


def _source(name: str) -> str:
    found = importlib.util.find_spec(f"{_PROGRAM}.{name}")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_text(encoding="utf-8")
