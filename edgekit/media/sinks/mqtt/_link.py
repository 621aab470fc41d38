"""Keeps a connection to an MQTT broker in a thread, and reconnects when it is lost."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from edgekit._parameters import parameter
from edgekit.errors import MissingDependencyError, OutputError
from edgekit.media.sinks.mqtt._broker import Broker
from edgekit.media.sinks.mqtt._outbox import Outbox
from edgekit.system.backoff import Backoff

__all__ = ["BrokerLink", "import_client"]

_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 5.0
_KEEPALIVE_SECONDS = 15
_WINDOW = 20
"""Largest number of unacknowledged messages; more would wait in the client's own queue."""

_TICK = 0.05
_DENIED = frozenset(("Bad user name or password", "Not authorized"))


def import_client() -> Any:
    """Imports and returns ``paho.mqtt.client``.

    Raises:
        MissingDependencyError: paho-mqtt is not installed.
    """
    try:
        from paho.mqtt import client
    except ImportError as error:
        raise MissingDependencyError.for_extra("paho.mqtt", "mqtt", parameter("mqtt")) from error
    return client


# Many attributes: a connection is one state machine of two threads, under one lock.
class BrokerLink:
    """Sends the messages of an outbox in order, and removes those that the broker acknowledged.

    Each connection begins with the status as a retained message. If the connection is lost, the
    broker publishes ``will`` instead. The link uses MQTT 5 if the broker supports it, because an
    MQTT 5 broker reports whether it accepted each message. A broker with MQTT 3.1.1 may silently
    drop messages that its rules forbid. Messages that the broker refuses are not sent again.

    Args:
        broker: Address and credentials of the broker.
        outbox: Messages to send; the link does not close it.
        topic: Topic of the status.
        status: Function that returns the current status.
        will: Status that the broker publishes when the connection is lost.

    Attributes:
        denied: Whether the broker refused the user name or password at the last connection.
        refused: Number of messages from the outbox that the broker has refused.
    """

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        topic: str,
        status: Callable[[], bytes],
        will: bytes,
    ) -> None:
        self._mqtt = import_client()
        self._broker = broker
        self._outbox = outbox
        self._topic = topic
        self._status = status
        self._will = will
        self._changed = threading.Condition()
        self._stopping = False
        self._last_words: bytes | None = None
        self._deadline = float("inf")
        self._tried = False
        self._lost = False
        self._connected = False
        self.denied = False
        self._unconnected: str | None = "There is no connection yet."
        self.refused = 0
        self._refusal: str | None = None
        self._versions = [self._mqtt.MQTTv5, self._mqtt.MQTTv311]
        self._waiting: dict[int, int] = {}
        self._topics: dict[int, str] = {}
        self._arrived: list[int] = []
        self._sent = 0
        self._thread = threading.Thread(target=self._run, name="edgekit-mqtt", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Reason for a missing connection or a refused message; None if all is well."""
        return self._unconnected or self._refusal

    def wait_for_first_try(self, seconds: float) -> None:
        """Waits until the first connection attempt succeeds or fails, at most ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._tried, seconds)

    def stop(self, last_words: bytes | None, seconds: float) -> None:
        """Sends waiting messages within ``seconds``, then the last status, and ends the thread."""
        with self._changed:
            self._last_words = last_words
            self._deadline = time.monotonic() + seconds
            self._stopping = True
            self._changed.notify_all()
        # A connection attempt may hang for longer, and has nothing to send.
        self._thread.join(2 * _TICK + (seconds if self._connected else 0.0))

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
            if self._versions[0] != version and version == self._mqtt.MQTTv5 and not self._stopping:
                continue
            if self._unconnected is not None:
                # Warn only when the delay has grown, so that a long outage does not fill the log.
                level = logging.WARNING if backoff.seconds > warned else logging.INFO
                warned = backoff.seconds
                again = f"It is tried again in about {backoff.seconds:g} seconds."
                _LOG.log(level, "%s %s", self._unconnected, again)
            with self._changed:
                self._tried = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopping, backoff.scattered())
                # When stopping without a connection, another attempt would only delay the end.
                if self._stopping:
                    return
            backoff.grow()

    def _converse(self) -> bool:
        """Runs one connection until it ends, and returns whether it was established."""
        client = self._make_client()
        begin = time.monotonic()
        met = False
        try:
            client.connect(self._broker.host, self._broker.port, _KEEPALIVE_SECONDS)
            met = True
            while client.loop(_TICK) == self._mqtt.MQTT_ERR_SUCCESS:
                if self._connected:
                    if not self._pass_on(client):
                        return True
                elif self.denied or self._is_over():
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
            self._hang_up(client)

    def _make_client(self) -> Any:
        mqtt, broker = self._mqtt, self._broker
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=self._versions[0])
        client.connect_timeout = _CONNECT_SECONDS
        client.max_inflight_messages_set(_WINDOW)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            client.tls_set(ca_certs=None if broker.ca is None else str(broker.ca))
        client.will_set(self._topic, self._will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        self._waiting, self._topics, self._arrived = {}, {}, []
        self._sent = 0
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        del data, flags, properties
        self.denied = str(code) in _DENIED
        if code.is_failure:
            self._note(f"It refuses: {code}.")
            return
        self._publish(client, self._topic, self._status(), retain=True)
        if self._lost:
            self._lost = False
            _LOG.info("The MQTT broker %s is connected again.", self._broker.place)
        with self._changed:
            self._connected = self._tried = True
            self._unconnected = None
            self._changed.notify_all()

    def _on_publish(self, client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        del client, data, properties
        topic, number = self._topics.pop(mid, ""), self._waiting.pop(mid, None)
        if number is not None:
            self._arrived.append(number)
        if code.is_failure:
            self.refused += number is not None
            self._refuse(f"The MQTT broker {self._broker.place} refuses {topic}: {code}.")

    def _refuse(self, refusal: str) -> None:
        if self._refusal is None:
            _LOG.warning(
                "%s Refused messages are lost. Let EdgeKit's MQTT user publish to this topic.",
                refusal,
            )
        self._refusal = refusal

    def _publish(self, client: Any, topic: str, payload: bytes, *, retain: bool = False) -> Any:
        info = client.publish(topic, payload, qos=1, retain=retain)
        self._topics[info.mid] = topic
        return info

    def _pass_on(self, client: Any) -> bool:
        """Sends as many messages as fit; returns False when stopping and nothing is left to do."""
        if self._arrived:
            self._outbox.remove(self._arrived)
            self._arrived = []
        room = _WINDOW - len(self._waiting)
        more = self._outbox.after(self._sent, room) if room > 0 else []
        for number, topic, payload in more:
            info = self._publish(client, topic, payload)
            self._waiting[info.mid] = number
            self._sent = number
        if not self._stopping:
            return True
        if (more or self._waiting) and not self._is_over():
            return True
        self._say_goodbye(client)
        return False

    def _say_goodbye(self, client: Any) -> None:
        if self._last_words is None:
            return
        info = self._publish(client, self._topic, self._last_words, retain=True)
        while not (info.is_published() or self._is_over()):
            if client.loop(_TICK) != self._mqtt.MQTT_ERR_SUCCESS:
                return

    def _hang_up(self, client: Any) -> None:
        if self._stopping:
            client.disconnect()
            client.loop(_TICK)
        elif (sock := client.socket()) is not None:
            # Close without DISCONNECT, so that the broker publishes the will.
            sock.close()

    def _is_over(self) -> bool:
        return self._stopping and time.monotonic() > self._deadline

    def _note(self, reason: str) -> None:
        with self._changed:
            self._lost = True
            self._unconnected = (
                f"No connection to the MQTT broker {self._broker.place}: {reason.rstrip(chr(46))}."
            )
