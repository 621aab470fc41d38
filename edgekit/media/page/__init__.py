"""The live page: what a run sees and finds, in a browser, while it lasts."""

from edgekit.media.page.live_page import LivePage

__all__ = ["LivePage"]
