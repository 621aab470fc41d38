"""Base class of objects that hold a resource: context managers that release it once."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Closing"]


class Closing(abc.ABC):
    """A context manager that closes at the end of its block, also after an error."""

    @abc.abstractmethod
    def close(self) -> None:
        """Releases the resource; it may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
