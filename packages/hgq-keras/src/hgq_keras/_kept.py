"""Results that are kept at inference, in eager code, as long as the numbers that they were computed from are the same.

In compiled code there is nothing to keep: Keras hands all weights to its compiled `predict` in every call, so that
`assign`, `set_weights` and `load_weights` are seen, and the compiler computes what depends on them once a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import keras

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Kept", "may_keep"]

T = TypeVar("T")


class Kept(Generic[T]):
    """One result, and what it was computed from."""

    def __init__(self) -> None:
        self._sources: list[Any] | None = None
        self._result: T | None = None

    def result(self, sources: Sequence[Any], compute: Callable[[], T]) -> T:
        """What ``compute`` gave for these tensors."""
        known, result = self._sources, self._result
        if known is None or result is None or not all(map(_same, known, sources)):
            result = compute()
            if _has_numbers(result):
                self._sources, self._result = [_copied(source) for source in sources], result
        return result

    def __reduce__(self) -> tuple[type[Kept[T]], tuple[()]]:
        """Copies of a layer hold nothing that can be computed again."""
        return type(self), ()


if keras.backend.backend() == "torch":
    import torch

    def may_keep(*tensors: Any) -> bool:
        """Whether results of these tensors are kept: without gradients, on a processor, where a look waits for none."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        return all(tensor.device.type == "cpu" for tensor in tensors)

    def _same(a: Any, b: Any) -> bool:
        # By numbers: the versions that PyTorch counts do not show what is written through ``tensor.data``.
        return a.dtype is b.dtype and torch.equal(a, b)

    def _copied(tensor: Any) -> Any:
        return tensor.detach().clone()

    def _has_numbers(result: Any) -> bool:  # noqa: ARG001 (as for the others)
        return True

elif keras.backend.backend() == "jax":
    import jax

    def may_keep(*tensors: Any) -> bool:
        """Whether results of these tensors are kept: numbers, which nothing traces."""
        return not any(isinstance(tensor, jax.core.Tracer) for tensor in tensors)

    def _same(a: Any, b: Any) -> bool:
        return a is b  # Arrays never change.

    def _copied(tensor: Any) -> Any:
        return tensor

    def _has_numbers(result: Any) -> bool:
        # While JAX traces a function, what is computed from numbers has none yet.
        return not any(isinstance(part, jax.core.Tracer) for part in jax.tree.leaves(result))

else:

    def may_keep(*tensors: Any) -> bool:  # noqa: ARG001 (as for the others)
        """Never: nobody can see whether a tape of TensorFlow records for gradients."""
        return False

    def _same(a: Any, b: Any) -> bool:
        return a is b

    def _copied(tensor: Any) -> Any:
        return tensor

    def _has_numbers(result: Any) -> bool:  # noqa: ARG001 (as for the others)
        return False
