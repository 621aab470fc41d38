"""Serves the live page, which shows a run's frames and tubes in a browser while it lasts."""

from edgekit.media.page.live_page import LivePage

__all__ = ["LivePage"]
