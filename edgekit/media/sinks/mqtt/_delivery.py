"""Sends the messages of an outbox to an MQTT broker, over one connection after the other."""

from __future__ import annotations

import logging
import time
from typing import Any

from edgekit.media.sinks.mqtt._outbox import Outbox

__all__ = ["WINDOW", "Delivery"]

WINDOW = 20
"""Largest number of unacknowledged messages; more would wait in the client's own queue."""

_ANSWER_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


# Many attributes: the messages on their way, and what the broker has said about them.
class Delivery:
    """Sends messages in order, and removes those that the broker acknowledged.

    All calls come from the thread that runs the client's loop.

    Args:
        outbox: Messages to send; they are sent again over a new connection until acknowledged.
        place: Host and port of the broker, for messages to the user.

    Attributes:
        refused: Number of messages from the outbox that the broker has refused.
    """

    def __init__(self, outbox: Outbox, place: str) -> None:
        self.refused = 0
        self._refusals: dict[str, str] = {}
        self._has_warned = False
        self._outbox = outbox
        self._place = place
        self._client: Any = None
        self._waiting: dict[int, int] = {}
        self._topics: dict[int, str] = {}
        self._acknowledged: list[int] = []
        self._sent = 0
        self._heard = time.monotonic()

    @property
    def is_waiting(self) -> bool:
        """Whether the broker has not answered all messages of this connection."""
        return bool(self._topics)

    @property
    def unanswered(self) -> str | None:
        """Says that the broker acknowledges nothing although messages are sent; else None."""
        if not self._waiting or time.monotonic() - self._heard < _ANSWER_SECONDS:
            return None
        return f"The MQTT broker {self._place} does not acknowledge messages."

    @property
    def refusal(self) -> str | None:
        """Latest refusal of a topic that the broker has not accepted since; None without one."""
        return next(reversed(self._refusals.values()), None)

    def begin(self, client: Any) -> None:
        """Continues over a new connection, from the oldest message in the outbox.

        Args:
            client: Client of ``paho.mqtt`` that is not connected yet.
        """
        client.on_publish = self._on_publish
        self._client = client
        self._waiting, self._topics, self._acknowledged = {}, {}, []
        self._sent = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Any:
        """Sends a message, and returns the client's ``MQTTMessageInfo``."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._topics[info.mid] = topic
        return info

    def send_more(self) -> bool:
        """Sends as many messages as fit; returns whether any is still unacknowledged."""
        self.settle()
        if not self._waiting:
            self._heard = time.monotonic()
        room = WINDOW - len(self._waiting)
        for number, topic, payload in self._outbox.after(self._sent, room) if room > 0 else ():
            info = self.publish(topic, payload)
            self._waiting[info.mid] = number
            self._sent = number
        return bool(self._waiting)

    def settle(self) -> None:
        """Removes the messages that the broker has acknowledged."""
        if self._acknowledged:
            self._outbox.remove(self._acknowledged)
            self._acknowledged = []

    def _on_publish(self, client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        del client, data, properties
        self._heard = time.monotonic()
        topic, number = self._topics.pop(mid, ""), self._waiting.pop(mid, None)
        if number is not None:
            self._acknowledged.append(number)
        others = {other: reason for other, reason in self._refusals.items() if other != topic}
        if code.is_failure:
            self.refused += number is not None
            refusal = f"The MQTT broker {self._place} refuses {topic}: {code}."
            self._warn(refusal)
            others[topic] = refusal
        self._refusals = others  # in one step, because other threads read it

    def _warn(self, refusal: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _LOG.warning(
                "%s Refused messages are lost. Let EdgeKit's MQTT user publish to this topic.",
                refusal,
            )
