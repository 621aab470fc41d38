"""Tests how frames reach the viewers of the live page."""

from __future__ import annotations

import asyncio

from edgekit.media.page.broadcast import Broadcast
from edgekit.media.page.channel import Channel


def test_a_frame_is_no_error_after_the_server_has_failed():
    """A server that fails leaves its viewers behind, and the run goes on without it."""
    loop = asyncio.new_event_loop()
    broadcast = Broadcast(Channel(), loop, list)
    broadcast.viewers.add(object())
    loop.close()
    broadcast.poke()
