"""Results that are kept as long as the numbers that they were computed from are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["Remembered", "may_remember"]

T = TypeVar("T")


def may_remember(x: Tensor) -> bool:
    """Whether results are kept for a tensor: at inference on a processor, where looking at numbers waits for nobody."""
    return not torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


class Remembered(Generic[T]):
    """One result and a copy of the tensors that it was computed from.

    They are compared by their numbers, which finds every way in which they may be changed; the versions that PyTorch
    counts do not show what is written through ``tensor.data``.
    """

    def __init__(self) -> None:
        self._sources: list[Tensor] | None = None
        self._result: T | None = None

    def result(self, sources: Sequence[Tensor], compute: Callable[[], T]) -> T:
        """What ``compute`` gave for these numbers."""
        known, result = self._sources, self._result
        if known is None or result is None or not all(map(_same, known, sources)):
            result = compute()
            self._sources, self._result = [source.detach().clone() for source in sources], result
        return result

    def __reduce__(self) -> tuple[type[Remembered[T]], tuple[()]]:
        """Copies and files of a module hold nothing that can be computed again."""
        return type(self), ()


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype is b.dtype and torch.equal(a, b)
