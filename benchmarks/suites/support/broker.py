"""Runs a real MQTT broker on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from edgekit._closing import Closing
from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT, free_ports
from edgekit.errors import MissingDependencyError

__all__ = ["Mosquitto"]


class Mosquitto(Closing):
    """Eclipse Mosquitto in its own process, which stores messages for an absent client.

    Args:
        folder: Folder for its configuration and its database.
        lines: Lines of its configuration; by default everybody may use it.

    Attributes:
        port: Port on 127.0.0.1.

    Raises:
        MissingDependencyError: Mosquitto is not installed.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise MissingDependencyError(
                "Mosquitto is not installed.", hint="Run: sudo apt install mosquitto"
            )
        self.port = free_ports(1)
        self._kept = folder / "mosquitto.db"
        config = folder / "mosquitto.conf"
        said = (
            f"user {getpass.getuser()}",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            # A killed broker loses acknowledged messages in flight, so it forwards all at once.
            "max_inflight_messages 0",
            f"listener {self.port} 127.0.0.1",
            *(lines or ("allow_anonymous true",)),
        )
        config.write_text("\n".join(said) + "\n")
        self._command = [*WITH_ITS_PARENT, program, "-c", str(config)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts the broker, and waits until it listens."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        while self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"mosquitto ended with {self._process.returncode}")

    def save(self, word: str) -> None:
        """Makes the broker write its state to disk, until ``word`` of a topic appears there."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        while not (self._kept.exists() and word.encode() in self._kept.read_bytes()):
            time.sleep(0.01)

    def kill(self) -> None:
        """Kills the broker, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stops the broker."""
        self.kill()
