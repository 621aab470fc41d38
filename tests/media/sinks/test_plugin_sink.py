"""Tests that the sink of a package is asked through its wrapper."""

from __future__ import annotations

import pytest

from edgekit.media.sinks.plugin_sink import PluginSink
from edgekit.media.sinks.registry import SINKS
from edgekit.media.sinks.sink import Sink
from edgekit.system.entry_points import Plugin


class Lines(Sink):
    """Writes numbers, which appear at the end."""

    needs_pictures = False
    appears_at_end = True
    pending = 3


class Faulty(Sink):
    """Says nothing sensible of itself."""

    needs_pictures = "no"
    appears_at_end = "yes"
    pending = "some"


@pytest.mark.parametrize(
    ("sink", "pictures", "at_end", "pending"),
    [(Sink(), True, False, 0), (Lines(), False, True, 3), (Faulty(), True, False, 0)],
)
def test_its_properties_pass_the_wrapper(sink, pictures, at_end, pending, monkeypatch):
    plugin = Plugin("edgekit.sinks", "mine", f"{__name__}:Lines", "package", "1")
    monkeypatch.setattr(SINKS, "plugins", lambda: [plugin])
    wrapped = PluginSink(sink, "mine")
    assert (wrapped.needs_pictures, wrapped.appears_at_end) == (pictures, at_end)
    assert wrapped.pending == pending
    assert (wrapped.trouble is not None) == isinstance(sink, Faulty)
