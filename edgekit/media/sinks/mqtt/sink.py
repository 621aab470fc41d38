"""Sends tubes as MQTT messages."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgekit._checks import as_instance, as_number, as_path, as_whole, check_callable
from edgekit._parameters import parameter
from edgekit._printable import printable_json
from edgekit.errors import OutputError
from edgekit.files.output_paths import refuse_unwritable
from edgekit.files.writing import refuse_full
from edgekit.linking.published import LiveTube
from edgekit.media.sinks._whole_file import check_room
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.mqtt._client import import_client, is_denied
from edgekit.media.sinks.mqtt._link import BrokerLink, StatusTopic
from edgekit.media.sinks.mqtt._outbox import Outbox, QueuedMessage, check_name
from edgekit.media.sinks.mqtt._status import RunStatus, now_text
from edgekit.media.sinks.mqtt.broker import Broker
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube
from edgekit.system.user_folders import user_folder

__all__ = ["MOST_BYTES", "Broker", "MqttSink", "default_buffer"]

MOST_BYTES = 16_000_000
"""Default limit for the bytes of waiting messages."""

_LOG = logging.getLogger(__name__)
_FIRST_TRY_SECONDS = 3.0
_LAST_SECONDS = 5.0


# Many attributes: its arguments, and the state of one run.
@single_run
class MqttSink(Sink):
    """Sends the start, updates and end of each tube, and a retained status.

    The topics below the broker's prefix are ``tube/start``, ``tube/update``, ``tube/end`` and
    ``status``. If the run vanishes, the broker itself publishes the status (Last Will). All
    messages pass through a file: a broker that was away gets them later, in order, and the next run
    sends what is left. Messages are sent until the broker acknowledges them (QoS 1), so a message
    may arrive twice. The fields ``run`` and ``seq``, which counts from 0 without gaps, identify
    duplicates.

    Args:
        broker: Broker: ``mqtt://user:password@host:port/prefix``, or ``mqtts://`` for TLS.
        buffer: File for waiting messages; the default is ``default_buffer(broker)``.
        most: Largest size of the buffer in bytes of messages. Above it the oldest updates are
            dropped, then the oldest messages of any kind. The status counts them.
        every: Seconds of the source between two updates of a tube.
        facts: Function that returns the target and the runtime of the bundle that runs, by name,
            for the status.
        outputs: Function that returns the health of the run's outputs, for the status.

    Raises:
        MissingDependencyError: paho-mqtt is not installed.
        OutputError: The broker refuses the name or password, or another run uses the buffer (both
            raised by ``start``); or the disk is full (raised by later calls).
    """

    def __init__(
        self,
        broker: Broker | str,
        *,
        buffer: str | Path | None = None,
        most: int = MOST_BYTES,
        every: float = 1.0,
        facts: Callable[[], Mapping[str, str]] = dict,
        outputs: Callable[[], Sequence[SinkHealth]] = tuple,
    ) -> None:
        import_client()
        if isinstance(broker, str):
            broker = Broker.parse(broker)
        self._broker = as_instance(
            "broker", broker, Broker, "a URL mqtt://HOST or a Broker", secret=True
        )
        self._buffer = as_path("buffer", buffer) or default_buffer(broker)
        self._most = as_whole("most", most, least=1)
        self._every = as_number("every", every, least=0)
        check_callable("facts", facts, "a function that returns texts by name")
        check_callable("outputs", outputs, "a function that returns the health of sinks")
        self._run = uuid.uuid4().hex[:12]
        self._seq = 0
        self._status = RunStatus(self._run, facts, outputs)
        self._classes: tuple[str, ...] = ()
        self._updated: dict[int, float] = {}
        self._begun: set[int] = set()
        self._info: RunInfo | None = None
        self._last = (0, 0.0)
        self._left: str | None = None
        self._outbox: Outbox | None = None
        self._link: BrokerLink | None = None

    @property
    def needs_pictures(self) -> bool:
        """False: a message holds numbers only."""
        return False

    @property
    def dropped(self) -> int:
        """Number of messages dropped by the buffer's size limit or refused by the broker."""
        refused = 0 if self._link is None else self._link.refused
        return refused + (0 if self._outbox is None else sum(self._outbox.dropped.values()))

    @property
    def stored(self) -> int:
        """Number of messages put into the buffer."""
        return self._seq

    @property
    def trouble(self) -> str | None:
        """Reason for a missing connection or a refusal, and the number of waiting messages."""
        if self._link is None or self._outbox is None:
            return None
        trouble = self._left or self._link.trouble
        waiting = (
            "1 message waits" if len(self._outbox) == 1 else f"{len(self._outbox)} messages wait"
        )
        return trouble and f"{trouble} {waiting}."

    def check(self) -> None:
        """Opens the buffer, or raises if it cannot be created, and asks the broker for entry."""
        if self._buffer.exists():
            Outbox(self._buffer, self._most, only_checks=True).close()
        else:
            check_name(self._buffer)
            refuse_unwritable(self._buffer)
        refuse_full(self._buffer)
        if is_denied(self._broker, _FIRST_TRY_SECONDS):
            raise self._denial()

    def start(self, info: RunInfo) -> None:
        """Opens the buffer and starts to connect; waits at most 3 seconds for the connection."""
        self._classes, self._info = info.classes, info
        self._status.start(info)
        self._outbox = Outbox(self._buffer, self._most)
        if waiting := len(self._outbox):
            _LOG.info("%d messages of earlier runs are sent first.", waiting)
        status = StatusTopic(
            f"{self._broker.prefix}/status",
            current=self._online,
            will=lambda: self._status.offline("lost"),
            news=lambda: self._status.news,
            lasting=lambda: self._status.running,
        )
        self._link = BrokerLink(self._broker, self._outbox, status)
        self._link.wait_for_first_try(_FIRST_TRY_SECONDS)
        if self._link.denied:
            raise self._denial()

    def gap(self, gap: Gap) -> None:
        """Counts missing frames for the status."""
        self._status.activity.gap(gap)

    def bundle(self, change: BundleChange) -> None:
        """Names the classes of the bundle from now on, and reports the change in the status."""
        self._classes = change.classes
        self._status.bundle(change)

    def frame(self, result: FrameResult) -> None:
        """Sends the start of new tubes, and an update of the others at the chosen interval."""
        self._status.activity.frame(result)
        now = result.frame.time
        self._last = result.frame.index, now
        messages: list[QueuedMessage] = []
        updated: dict[int, float] = {}
        for tube in result.tubes:
            last = self._updated.get(tube.id)
            if last is not None and 0 <= now - last < self._every:
                updated[tube.id] = last
                continue
            kind = "start" if last is None else "update"
            index, observed = result.frame.index, tube.observed
            content = _live_json(tube, tube.box, index, now, observed=observed)
            messages.append(self._message(kind, len(messages), content))
            updated[tube.id] = now
        self._send(messages)
        # The end of a tube comes after the first frame without it, or is lost.
        self._begun = self._updated.keys() | updated.keys()
        self._updated = updated

    def tube(self, tube: Tube) -> None:
        """Sends the end of a tube, and first its start if no frame with it reached this sink."""
        first = [] if tube.id in self._begun else [self._message("start", 0, self._first(tube))]
        content = {
            "id": tube.id,
            "class": tube.label,
            "score": round(tube.score, 5),
            "start": tube.start,
            "end": tube.end,
            "box": [round(value, 2) for value in tube.boxes[-1].tolist()],
            "observed": int(tube.observed.sum()),
        }
        self._send([*first, self._message("end", len(first), content)])

    def end(self, summary: RunSummary) -> None:
        """Sends waiting messages for at most 5 seconds, then the last status."""
        if self._link is not None:
            self._note_dropped()
            last = self._status.offline("failed" if summary.error else "ended", summary.error)
            self._link.stop(last, _LAST_SECONDS)
            if self._outbox and self._link.trouble is None:
                self._left = f"The MQTT broker {self._broker.place} did not answer at the end."

    def reopen(self) -> bool:
        """Returns True if there is room on the disk again.

        Raises:
            OutputError: The disk is still full.
        """
        check_room(self._buffer)
        return True

    def close(self) -> None:
        """Disconnects and closes the buffer; the next run sends what is left in it."""
        if self._link is not None:
            self._link.stop(None, 0.0)
        if self._outbox is not None:
            self._outbox.close()

    def _denial(self) -> OutputError:
        return OutputError(
            f"The MQTT broker {self._broker.place} refuses the name or password.",
            hint=f"Check both in {parameter('mqtt', 'mqtt://user:password@host:port/prefix')}",
        )

    def _first(self, tube: Tube) -> dict[str, Any]:
        index, time = self._last
        assert self._info is not None
        begun = time - (index - tube.start) / self._info.present_fps
        box = tube.boxes[0].tolist()
        return _live_json(tube, box, tube.start, begun, observed=True)

    def _send(self, messages: list[QueuedMessage]) -> None:
        if messages:
            assert self._outbox is not None
            self._outbox.add(messages)
            self._seq += len(messages)

    def _message(self, kind: str, place: int, content: dict[str, Any]) -> QueuedMessage:
        name = self._classes[content["class"]]
        assert self._info is not None
        source, number = self._info.source, self._seq + place
        head = {"run": self._run, "seq": number, "date": now_text(), "source": source}
        payload = printable_json(msgspec.json.encode({**head, "name": name, **content}))
        return QueuedMessage(f"{self._broker.prefix}/tube/{kind}", payload, kind)

    def _online(self) -> bytes:
        self._note_dropped()
        return self._status.online()

    def _note_dropped(self) -> None:
        self._status.dropped = {} if self._outbox is None else self._outbox.dropped


def default_buffer(broker: Broker) -> Path:
    """Returns the default file for waiting messages, one for each broker and prefix.

    Raises:
        OutputError: The user has no folder for it, or the folder cannot be written.
    """
    folder = user_folder("XDG_STATE_HOME", ".local/state", parameter("mqtt_buffer", "FILE"))
    # In this form since the first version: another one would leave waiting messages behind.
    place = f"{broker.host}:{broker.port}/{broker.prefix}"
    name = hashlib.sha256(place.encode()).hexdigest()[:12]
    return folder / f"mqtt-{name}.db"


def _live_json(
    tube: LiveTube | Tube, box: Sequence[float], index: int, time: float, *, observed: bool
) -> dict[str, Any]:
    """Returns the JSON fields of a tube in one of its frames."""
    return {
        "id": tube.id,
        "class": tube.label,
        "score": round(tube.score, 5),
        "box": [round(value, 2) for value in box],
        "index": index,
        "time": round(time, 4),
        "observed": observed,
    }
