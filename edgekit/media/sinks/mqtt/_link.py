"""Keeps a connection to an MQTT broker in a thread, and reconnects when it is lost."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.errors import OutputError
from edgekit.media.sinks.mqtt._client import DENIED, import_client, make_client
from edgekit.media.sinks.mqtt._delivery import WINDOW, Delivery
from edgekit.media.sinks.mqtt._outbox import Outbox
from edgekit.media.sinks.mqtt.broker import Broker
from edgekit.system.backoff import Backoff

__all__ = ["STATUS_SECONDS", "BrokerLink", "StatusTopic"]

STATUS_SECONDS = 10.0
"""Seconds between two status messages of a connected run, unless its state changes."""

_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 5.0
_KEEPALIVE_SECONDS = 15
_TICK = 0.05
_NEWS_SECONDS = 1.0
_NOT_YET = "There is no connection yet."


@dataclass(slots=True)
class StatusTopic:
    """Retained messages that tell whether a run is connected, and how it is.

    Attributes:
        topic: Topic of the messages.
        current: Function that returns the present message.
        will: Function that returns the message that the broker publishes when the connection is
            lost.
        news: Function that returns a value; when it changes, a new message is due within a second.
        lasting: Function that returns a value; when it changes, a new connection brings the broker
            a new will.
    """

    topic: str
    current: Callable[[], bytes]
    will: Callable[[], bytes]
    news: Callable[[], object] = lambda: None
    lasting: Callable[[], object] = lambda: None
    _sent_news: object = None
    _when: float = 0.0

    def take(self) -> bytes:
        """Returns the present message, which the caller publishes."""
        self._sent_news, self._when = self.news(), time.monotonic()
        return self.current()

    @property
    def is_due(self) -> bool:
        """Whether a message should be published again."""
        seconds = time.monotonic() - self._when
        if seconds < _NEWS_SECONDS:
            return False
        return seconds >= STATUS_SECONDS or self.news() != self._sent_news


class _EndRequest:
    """Request from another thread to end the link.

    Attributes:
        last_words: Status to publish at the end; None for none.
    """

    def __init__(self) -> None:
        self.last_words: bytes | None = None
        self._deadline = float("inf")
        self._made = threading.Event()

    def make(self, last_words: bytes | None, seconds: float) -> None:
        """Asks to send waiting messages and the last words within this number of seconds."""
        self.last_words = last_words
        self._deadline = time.monotonic() + seconds
        self._made.set()

    @property
    def made(self) -> bool:
        """Whether the link was asked to end."""
        return self._made.is_set()

    @property
    def overdue(self) -> bool:
        """Whether the time for ending is over."""
        return self.made and time.monotonic() > self._deadline

    def wait(self, seconds: float) -> bool:
        """Waits for a request, and returns whether there is one."""
        return self._made.wait(seconds)


# Many attributes: its arguments, and the state of one connection after the other.
class BrokerLink:
    """Sends the messages of an outbox in order, and removes those that the broker acknowledged.

    Each connection begins with the status as a retained message. If the value in the broker's will
    changes, the link ends the connection in order and begins another one. It uses MQTT 5 if the
    broker supports it, because an MQTT 5 broker reports whether it accepted each message. A broker
    with MQTT 3.1.1 may silently drop messages that its rules forbid. Messages that the broker
    refuses are not sent again.

    Args:
        broker: Address and credentials of the broker.
        outbox: Messages to send; the link does not close it.
        status: Messages that tell whether the link is connected.

    Attributes:
        denied: Whether the broker refused the user name or password at the last connection.
    """

    def __init__(self, broker: Broker, outbox: Outbox, status: StatusTopic) -> None:
        mqtt = import_client()
        self._broker = broker
        self._status = status
        self._delivery = Delivery(outbox, broker.place)
        self._versions = [mqtt.MQTTv5, mqtt.MQTTv311]
        self._ending = _EndRequest()
        self._tried = threading.Event()
        self._connected = False
        self._willed: object = None
        self._renews = False
        self._unconnected: str | None = _NOT_YET
        self._has_warned = False
        self.denied = False
        self._thread = threading.Thread(target=self._run, name="edgekit-mqtt", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Reason why messages are not sent, not acknowledged or refused; None if all is well."""
        return self._unconnected or self._delivery.unanswered or self._delivery.refusal

    @property
    def refused(self) -> int:
        """Number of messages from the outbox that the broker has refused."""
        return self._delivery.refused

    def wait_for_first_try(self, seconds: float) -> None:
        """Waits until the first connection attempt succeeds or fails, at most ``seconds``."""
        self._tried.wait(seconds)

    def stop(self, last_words: bytes | None, seconds: float) -> None:
        """Sends waiting messages within ``seconds``, then the last status, and ends the thread."""
        self._ending.make(last_words, seconds)
        # A connection attempt may hang for longer, and has nothing to send.
        connected = self._connected or self._renews
        self._thread.join(2 * _TICK + (seconds if connected else 0.0))

    def _run(self) -> None:
        backoff, warned = Backoff(), 0.0
        while True:
            begin, version = time.monotonic(), self._versions[0]
            try:
                if self._converse() and backoff.lasted(time.monotonic() - begin):
                    warned = 0.0
            except (OSError, ValueError, ssl.SSLError) as error:
                self._note(str(getattr(error, "strerror", None) or error))
            except OutputError as error:
                self._note(error.message)
            if self._renews and not self._ending.overdue:  # the broker has no will meanwhile
                continue
            has_changed = self._versions[0] != version
            if has_changed and version == import_client().MQTTv5 and not self._ending.made:
                continue
            if self._unconnected is not None:
                # Warn only when the delay has grown, so that a long outage does not fill the log.
                level = logging.WARNING if backoff.seconds > warned else logging.INFO
                warned = backoff.seconds
                self._has_warned |= level == logging.WARNING
                again = f"It is tried again in about {backoff.seconds:g} seconds."
                _LOG.log(level, "%s %s", self._unconnected, again)
            self._tried.set()
            # At the end and without a connection, another attempt would only delay the end.
            if self._ending.wait(backoff.scattered()):
                return
            backoff.grow()

    def _converse(self) -> bool:
        """Runs one connection until it ends, and returns whether it was established."""
        client = self._make_client()
        success = import_client().MQTT_ERR_SUCCESS
        begin = time.monotonic()
        met = False
        try:
            client.connect(self._broker.host, self._broker.port, _KEEPALIVE_SECONDS)
            met = True
            while client.loop(_TICK) == success:
                if self._connected:
                    if not self._pass_on(client):
                        return True
                elif self.denied or self._ending.overdue:
                    return False
                elif time.monotonic() - begin > _CONNECT_SECONDS:
                    self._note("It does not answer.")
                    return False
            came_about = self._connected
            if came_about or not self.denied:
                self._note("The connection was lost.")
            return came_about
        finally:
            if met and not (self._connected or self.denied):
                self._versions.reverse()  # the broker may not support this version of MQTT
            self._connected = False
            self._hang_up(client, in_order=self._renews or self._ending.made)

    def _make_client(self) -> Any:
        client = make_client(self._broker, self._versions[0], _CONNECT_SECONDS)
        client.max_inflight_messages_set(WINDOW)
        self._willed = self._status.lasting()
        client.will_set(self._status.topic, self._status.will(), qos=1, retain=True)
        client.on_connect = self._on_connect
        self._delivery.begin(client)
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        del client, data, flags, properties
        self.denied = str(code) in DENIED
        if code.is_failure:
            self._note(f"It refuses: {code}.")
            return
        self._delivery.publish(self._status.topic, self._status.take(), retain=True)
        if self._unconnected not in (None, _NOT_YET):
            level = logging.WARNING if self._has_warned else logging.INFO
            _LOG.log(level, "The MQTT broker %s is connected again.", self._broker.place)
            self._has_warned = False
        self._connected, self._renews, self._unconnected = True, False, None
        self._tried.set()

    def _pass_on(self, client: Any) -> bool:
        """Sends as many messages as fit; returns False when the connection is to end in order."""
        if not self._ending.made and self._status.lasting() != self._willed:
            # With answers still to read, the broker may take the end for an outage.
            self._delivery.settle()
            self._renews = not self._delivery.is_waiting
            return not self._renews
        if self._status.is_due and not self._ending.made:
            self._delivery.publish(self._status.topic, self._status.take(), retain=True)
        unacknowledged = self._delivery.send_more()
        if not self._ending.made or (unacknowledged and not self._ending.overdue):
            return True
        self._say_goodbye(client)
        return False

    def _say_goodbye(self, client: Any) -> None:
        last_words = self._ending.last_words
        if last_words is None:
            return
        info = self._delivery.publish(self._status.topic, last_words, retain=True)
        while not (info.is_published() or self._ending.overdue):
            if client.loop(_TICK) != import_client().MQTT_ERR_SUCCESS:
                break
        self._delivery.settle()

    @staticmethod
    def _hang_up(client: Any, *, in_order: bool) -> None:
        if in_order:
            client.disconnect()
            client.loop(_TICK)
        elif (sock := client.socket()) is not None:
            # Close without DISCONNECT, so that the broker publishes the will.
            sock.close()

    def _note(self, reason: str) -> None:
        self._renews = False
        self._unconnected = (
            f"No connection to the MQTT broker {self._broker.place}: {reason.rstrip('.')}."
        )
