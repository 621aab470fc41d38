"""Describes a bundle that was offered to a run in progress, as sinks get it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BundleChange"]


@dataclass(frozen=True, slots=True)
class BundleChange:
    """A bundle that a run was to change to, and what became of it.

    Attributes:
        name: Name of the bundle; the name of its folder if the manifest cannot be read.
        sha256: SHA-256 of the bundle's manifest; empty if it cannot be read.
        index: Index of the frame after the change: the first one that the bundle processed, or the
            first one after it was refused.
        classes: Class names by class index, of the bundle that processes this frame.
        error: Reason why the bundle was refused, as a sentence; None if it runs.
    """

    name: str
    sha256: str
    index: int
    classes: tuple[str, ...]
    error: str | None = None

    @property
    def outcome(self) -> str:
        """Word for the outcome: ``running`` or ``refused``."""
        return "running" if self.error is None else "refused"
