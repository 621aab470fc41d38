"""Lets several threads call methods of one object, which runs their calls one after the other."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

__all__ = ["one_at_a_time"]

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def one_at_a_time(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Returns a method that waits until no other thread is in such a method of the same object."""

    @functools.wraps(method)
    def alone(self: S, /, *given: P.args, **named: P.kwargs) -> R:
        # A method may call another one, and a signal handler may call one in the middle of another:
        # the lock is reentrant.
        lock: threading.RLock = vars(self).setdefault("_call_lock", threading.RLock())
        with lock:
            return method(self, *given, **named)

    return alone
