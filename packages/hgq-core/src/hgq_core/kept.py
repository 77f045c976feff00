"""Results that are kept as long as the numbers that they were computed from are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Kept"]

T = TypeVar("T")


def _always(result: object) -> bool:  # noqa: ARG001 (a rule of one argument)
    return True


class Kept(Generic[T]):
    """One result, and what it was computed from: a quantized weight at inference, or the grid of a quantizer.

    Sources are compared each time, so that no way of changing them has to be told. The result is shared by all who ask;
    it must not be written to.

    Args:
        same: whether a copy of a source and a source are the same numbers.
        copied: a copy of a source that no later change reaches.
        lasts: whether a result may be kept; a compiler's symbol may not.

    >>> kept, weights = Kept(lambda a, b: a == b, list), [1.0, 2.0]
    >>> [kept.result([weights], lambda: sum(weights)) for _ in range(2)]
    [3.0, 3.0]
    """

    def __init__(
        self,
        same: Callable[[Any, Any], bool],
        copied: Callable[[Any], Any],
        lasts: Callable[[Any], bool] = _always,
    ) -> None:
        self._rules = same, copied, lasts
        self._sources: list[Any] | None = None
        self._result: T | None = None

    def result(self, sources: Sequence[Any], compute: Callable[[], T]) -> T:
        """What ``compute`` gave for these sources, or gives."""
        same, copied, lasts = self._rules
        known, result = self._sources, self._result
        if known is None or result is None or not all(map(same, known, sources)):
            result = compute()
            if lasts(result):
                self._sources, self._result = [copied(source) for source in sources], result
        return result

    def __reduce__(self) -> tuple[type[Kept[T]], tuple[Any, ...]]:
        """Copies and files hold nothing that can be computed again."""
        return type(self), self._rules
