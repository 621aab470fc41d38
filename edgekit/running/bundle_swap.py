"""Changes a run to another bundle while it goes on, without losing a frame.

A thread loads and proves the new bundle while the old one processes frames. Then the pipelines
change between two frames. A bundle that cannot replace the old one is refused, and changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from edgekit._printable import printable
from edgekit.bundle import Bundle, load_bundle
from edgekit.bundle.folder import read_manifest
from edgekit.detector import Detector
from edgekit.errors import BundleError, EdgeKitError
from edgekit.media.sinks.queued import QueuedSink
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.pipeline import Pipeline
from edgekit.running.bundle_path import BundlePath
from edgekit.running.detectors import facts_of, open_proven
from edgekit.running.options import RunOptions
from edgekit.system.memory import return_freed_memory
from edgekit.system.shortage import shortage_of
from edgekit.targets.base import reason_of
from edgekit.targets.bundle_choice import bundle_named

__all__ = ["BundleSwap"]

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_LEAVING = 5.0


class BundleSwap:
    """Watches the path of a run's bundle, and changes the run to the bundle that appears there.

    The path is looked at each second: if it is or contains a symbolic link that now leads
    elsewhere, that bundle is loaded. ``ask`` loads it in any case, unless it already runs. If the
    options name no path, the run keeps its bundle until ``ask`` names one.

    Args:
        detector: Open detector of the run, closed here once another one has replaced it.
        options: Options of the run.
        live: Whether any source is live.

    Attributes:
        facts: Target and runtime of the bundle that runs, by name.
    """

    def __init__(self, detector: Detector, options: RunOptions, *, live: bool) -> None:
        self.facts = facts_of(detector)
        self._detector = detector
        self._options = options
        self._live = live
        named = bundle_named(options.bundle)
        self._place = BundlePath(named) if isinstance(named, Path) else None
        self._parts: list[tuple[Pipeline, Sequence[Sink]]] = []
        self._refused = False
        self._requests: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="edgekit-bundle", daemon=True)

    def add(self, pipeline: Pipeline, sinks: Sequence[Sink]) -> None:
        """Adds a pipeline of the run, and its sinks; all are added before ``start``."""
        self._parts.append((pipeline, sinks))

    def start(self) -> None:
        """Starts to watch the path, and to answer ``ask``."""
        self._thread.start()

    def ask(self, path: Path | None = None) -> None:
        """Asks for the bundle that is at the path now; safe in a signal handler.

        Args:
            path: Another path to watch from now on; None for the present one.
        """
        self._requests.put(path)

    def close(self) -> None:
        """Ends the thread, which closes the detector that runs; waits 5 seconds at most."""
        self._over.set()
        self._requests.put(None)
        if self._thread.ident is None:
            self._detector.close()
        else:
            # A runtime may take minutes to load a model, and has nothing to save.
            self._thread.join(_LEAVING)

    def _work(self) -> None:
        try:
            while True:
                try:
                    other = self._requests.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    target = self._place.changed_target() if self._place else None
                else:
                    self._place = self._place if other is None else BundlePath(other)
                    target = self._place.target() if self._place else None
                if self._over.is_set():
                    return
                if target is not None:
                    self._change_to(target)
        finally:
            self._detector.close()

    def _runs_already(self, target: Path) -> bool:
        """Returns whether the bundle in a folder is the one that runs."""
        try:
            content = read_manifest(target)
        except OSError:
            return False  # loading it gives the reason
        return hashlib.sha256(content).hexdigest() == self._detector.bundle.sha256

    def _change_to(self, target: Path) -> None:
        """Changes to the bundle in a folder, or refuses it."""
        if self._runs_already(target):
            if self._refused:  # the path leads to the bundle that runs again
                self._install(self._detector)
            return
        name, sha256 = printable(target.name), ""
        try:
            keys = self._options.require_signature
            bundle = load_bundle(target, require_signature=keys)
            name, sha256 = bundle.manifest.name, bundle.sha256
            self._check_classes(bundle)
            frames = [pipeline.slot.newest for pipeline, _ in self._parts]
            detector = open_proven(bundle, self._options, frames, live=self._live)
        except Exception as error:  # the bundle that runs must survive whatever a runtime raises
            known = error if isinstance(error, EdgeKitError) else shortage_of(error)
            reason = known.message if known else f"{type(error).__name__}: {reason_of(error)}"
            self._refuse(target, (name, sha256, printable(reason)))
        else:
            self._switch(detector)

    def _check_classes(self, bundle: Bundle) -> None:
        """Refuses other classes if an output holds one list of classes for the whole run."""
        if bundle.manifest.classes == self._detector.classes:
            return
        for _, sinks in self._parts:
            for sink in sinks:
                if sink.needs_same_classes:
                    name = type(sink).__name__
                    name = sink.health().name if isinstance(sink, QueuedSink) else name
                    raise BundleError(
                        f"{bundle.path} has other classes than the bundle that runs, and the "
                        f"output {name} needs the same classes during the whole run.",
                        hint="Restart the run with this bundle.",
                    )

    def _refuse(self, target: Path, refused: tuple[str, str, str]) -> None:
        self._refused = True
        running = self._detector.bundle.manifest.name
        _LOG.warning("%s is refused, and %s runs on. %s", target, running, refused[2])
        for pipeline, _ in self._parts:
            pipeline.slot.refused.append(refused)

    def _switch(self, detector: Detector) -> None:
        before, self._detector = self._detector, detector
        self.facts = facts_of(detector)
        left = self._install(detector)
        name = detector.bundle.manifest.name
        _LOG.warning("The bundle %s runs from now on, from %s.", name, detector.bundle.path)
        # The old session is closed only after its last frame.
        for unused in left:
            unused.wait()
        before.close()
        return_freed_memory()

    def _install(self, detector: Detector) -> list[threading.Event]:
        """Gives a detector the next frame of each source.

        Returns:
            For each source, an event that is set once the previous detector has no frame left.
        """
        self._refused = False
        bundle = detector.bundle.manifest.name, detector.bundle.sha256
        return [pipeline.slot.replace(detector.sibling(), bundle) for pipeline, _ in self._parts]
