"""Carries out on a device what ``edgekit deploy`` asks for; ``main`` is the whole program there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edgekit.deploy.on_device.connection import DeviceError, HungUpError, WorkstationConnection
from edgekit.deploy.on_device.environment import is_complete, make_environment, run_program
from edgekit.deploy.on_device.facts import collect_facts, user_name
from edgekit.deploy.on_device.releases import ReleaseFacts, Releases
from edgekit.deploy.on_device.service import Service
from edgekit.deploy.on_device.store import ContentStore, SentFile, lock
from edgekit.deploy.on_device.trial import end_trial, is_on_trial, try_release
from edgekit.deploy.on_device.unit import KEYS

__all__ = ["Agent", "main"]

_UNUSED_DAYS = 7


class Agent:
    """Answers the requests of one workstation. Each public method is a request.

    Args:
        connection: Connection to the workstation.
        root: Folder of EdgeKit's deployments.
    """

    def __init__(self, connection: WorkstationConnection, root: Path) -> None:
        self._connection = connection
        self._root = root

    def facts(self) -> dict[str, object]:
        """Returns the facts of the device."""
        return collect_facts(self._root)

    def lock(self, holder: str) -> None:
        """Locks the deployments of this device, and ends a trial that was left behind."""
        lock(self._root / "lock", holder)
        for folder in self._services():
            for kind in ("user", "system"):
                service = Service(kind, folder.name)
                if is_on_trial(service):
                    self._connection.note("An earlier deployment was interrupted: going back.")
                    end_trial(service, Releases(folder))

    def missing(self, kind: str, digest: str, files: list[SentFile]) -> list[str]:
        """Returns the files of a content that have to be sent."""
        return self._store(kind).missing(digest, files)

    def put(self, kind: str, digest: str, path: str, size: int) -> None:
        """Receives one file of a content."""
        with self._connection.body(size) as pieces:
            self._store(kind).receive(digest, path, pieces)

    def finish(self, kind: str, digest: str, files: list[SentFile]) -> str:
        """Checks a content; returns its folder."""
        store = self._store(kind)
        return str(store.path(digest)) if not files else store.finish(digest, files)

    def has_environment(self, key: str) -> bool:
        """Returns whether an environment is there."""
        return is_complete(self._root / "venvs" / key)

    def install(
        self, key: str, wheels: list[tuple[str, str]], requirement: str, system_packages: bool
    ) -> None:
        """Makes an environment from wheels that were sent, each by digest and file name."""
        files = [self._store("wheels").path(digest) / name for digest, name in wheels]
        make_environment(
            self._root / "venvs" / key, files, requirement, self._connection,
            system_packages=system_packages,
        )  # fmt: skip

    def edgekit(self, key: str, words: list[str]) -> dict[str, object]:
        """Runs EdgeKit in an environment, or the one that is there if ``key`` is empty."""
        program = self._root / "venvs" / key / "bin/edgekit" if key else self._installed()
        work = self._root / "work"
        work.mkdir(parents=True, exist_ok=True)
        # A result stays here if the connection was lost before the workstation got it.
        for each in work.iterdir():
            with contextlib.suppress(OSError):
                if each.stat().st_mtime < time.time() - 86400 * _UNUSED_DAYS:
                    each.unlink()
        command = [str(program), *words]
        status, out, errors = run_program(command, self._connection, cwd=work)
        return {"status": status, "out": out, "errors": errors, "program": str(program)}

    def python(self, key: str, code: str) -> int:
        """Runs Python in an environment; returns its exit status."""
        program = self._root / "venvs" / key / "bin/python"
        return run_program([str(program), "-c", code], self._connection)[0]

    def get(self, path: str) -> None:
        """Sends a file below the folder of the deployments, and removes it."""
        file = self._root / "work" / path
        with file.open("rb") as stream:
            self._connection.send_file(stream, file.stat().st_size)
        file.unlink()

    def check_service(self, kind: str, name: str) -> None:
        """Raises ``DeviceError`` if a service cannot be used."""
        Service(kind, name).refuse_unusable()

    # Many arguments: one for each part of a release.
    def release(
        self,
        name: str,
        facts: ReleaseFacts,
        options: str | None,
        keys: str | None,
        bundle: str,
        venv: str,
    ) -> int:
        """Makes a release; returns its number."""
        place = self._store("bundles").path(bundle)
        releases = self._releases(name)
        return releases.create(facts, options, keys, place, self._root / "venvs" / venv)

    def keys(self, name: str) -> tuple[str, str | None]:
        """Returns the file of the public keys of the current release, and its content.

        The content is None if the release requires no signature.
        """
        releases = self._releases(name)
        return str(releases.link / KEYS), releases.keys(releases.current())

    def keep_keys(self, name: str, number: int) -> None:
        """Lets an earlier release require a signature as the current one does.

        Raises:
            DeviceError: Its bundle has no such signature.
        """
        releases = self._releases(name)
        current = releases.current()
        keys = releases.keys(current)
        if keys is None or current is None:
            return
        running, bundle = releases.path(current), releases.path(number) / "bundle"
        command = [running / "venv/bin/edgekit", "inspect", bundle, "--json"]
        command += ["--require-signature", running / KEYS]
        status, out, _ = run_program(list(map(str, command)), self._connection)
        if status:
            raise DeviceError(
                f"The service {name} requires a signature, and release {number} has none that is "
                f"valid: {_reason(out, status)}",
                "Sign its bundle, and deploy it again: edgekit sign BUNDLE --key FILE",
            )
        releases.give_keys(number, keys)

    def options(self, name: str) -> str:
        """Returns the options of the current release of a service."""
        return self._releases(name).options()

    def current(self, name: str) -> ReleaseFacts:
        """Returns the facts of the current release of a service; nothing if there is none."""
        releases = self._releases(name)
        return releases.facts(releases.current())

    def earlier(self, name: str) -> ReleaseFacts:
        """Returns the facts of the release before the current one; nothing if there is none."""
        releases = self._releases(name)
        return releases.facts(releases.facts(releases.current()).get("replaces"))

    def drop_if_current(self, name: str, number: int) -> bool:
        """Removes a new release if the current one is equal to it and runs; returns whether so."""
        releases = self._releases(name)
        current, facts = releases.current(), releases.facts(number)
        if current is None or not releases.equal(number, current):
            return False
        if facts["service"] != "none":
            health = Service(facts["service"], name).health(facts["health"])
            if health.level == "dead":
                return False
        releases.forget(number)
        return True

    def switch(self, name: str, number: int, kind: str, seconds: float) -> dict[str, object]:
        """Puts a release on trial, or makes it current at once where there is no service."""
        releases = self._releases(name)
        before = releases.current()
        if kind == "none":
            releases.switch(number)
            return {"passed": True, "words": "no service", "rate": None}
        service = Service(kind, name)
        user = user_name() if kind == "system" else ""
        failed = True
        try:
            verdict = try_release(
                service, releases, number, self._connection, seconds=seconds, user=user
            )
            failed = not verdict.passed
        finally:
            # A release to which one goes back is kept, whatever comes of it. So is one that has
            # become the current one, although a later step failed.
            is_new = releases.facts(number).get("replaces") == before
            if failed and is_new and releases.current() != number:
                releases.forget(number)
        if verdict.passed and not service.stays_after_logout():
            line = f"sudo loginctl enable-linger {user_name()}"
            self._connection.note(f"So that the service starts with the device, run there: {line}")
        return verdict._asdict()

    def tidy(self) -> None:
        """Removes what no release uses any more."""
        every = [Releases(folder) for folder in self._services()]
        for each in every:
            each.tidy()
        venvs = set[str]().union(*(each.used("venv") for each in every))
        for place in (self._root / "venvs").glob("*"):
            if place.name not in venvs:
                shutil.rmtree(place, ignore_errors=True)
        recent = time.time() - 86400 * _UNUSED_DAYS
        bundles = set[str]().union(*(each.used("bundle") for each in every))
        self._store("bundles").keep_only(bundles, used_since=recent)
        self._store("inputs").keep_only(set(), used_since=recent)
        self._store("wheels").keep_only(set(), used_since=recent)

    def status(self) -> list[dict[str, object]]:
        """Returns what each service of the device runs, and how."""
        found = []
        for folder in self._services():
            releases = Releases(folder)
            facts = releases.facts(releases.current())
            if not facts:
                continue
            if facts.get("service", "none") == "none":
                state = {"level": "", "rate": None, "words": "no service", "trial": False}
            else:
                service = Service(facts["service"], folder.name)
                health = service.health(facts.get("health", ""))
                state = {**health._asdict(), "trial": is_on_trial(service)}
            found.append({**facts, **state, "name": folder.name})
        return found

    def _store(self, kind: str) -> ContentStore:
        if kind not in ("wheels", "bundles", "inputs"):
            raise DeviceError(f"There is no store of {kind}.")
        return ContentStore(self._root / kind)

    def _services(self) -> list[Path]:
        folder = self._root / "services"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _releases(self, name: str) -> Releases:
        return Releases(self._root / "services" / name)

    def _installed(self) -> Path:
        """Returns the program of the newest deployment, or the one that a shell would find."""
        venvs = [each for each in (self._root / "venvs").glob("*") if is_complete(each)]
        for each in sorted(venvs, key=lambda venv: venv.stat().st_mtime, reverse=True):
            return each / "bin/edgekit"
        places = f"{os.environ.get('PATH', '')}:{Path.home()}/.local/bin"
        found = shutil.which("edgekit", path=places)
        if found is None:
            raise DeviceError("Expected EdgeKit on the device; found none.")
        return Path(found)


def _reason(out: str, status: int) -> str:
    """Returns why a command of EdgeKit failed; one that was killed has printed no JSON."""
    try:
        return str(json.loads(out)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"edgekit inspect ended with status {status}"


def main() -> None:
    """Answers requests until the workstation closes the connection."""
    # Programs that this one starts must not write between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    connection = WorkstationConnection(sys.stdin.buffer, answers)
    agent = Agent(connection, Path.home() / ".local/share/edgekit")
    connection.done("ready")
    while (request := connection.next()) is not None:
        name, arguments = request
        operation: Callable[..., object] = getattr(agent, name)
        try:
            value = operation(**arguments)
            if name != "get":
                connection.done(value)
        except HungUpError:
            return
        except DeviceError as error:
            connection.failed(error)
        except OSError as error:
            place = error.filename or "the home folder"
            hint = "Check the free space and the permissions there: df -h ~ && ls -ld ~"
            connection.failed(DeviceError(f"Cannot use {place}: {error.strerror or error}.", hint))
