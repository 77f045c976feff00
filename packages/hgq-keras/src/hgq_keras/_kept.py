"""When quantized weights and grids are kept at inference, and how they are compared; see `hgq_core.kept`.

In compiled code there is nothing to keep: Keras hands all weights to its compiled `predict` in every call, so that
`assign`, `set_weights` and `load_weights` are seen, and the compiler computes what depends on them once a batch.
"""

from __future__ import annotations

from typing import Any

import keras

from hgq_core.kept import Kept

__all__ = ["kept", "may_keep"]


def kept() -> Kept[Any]:
    """Nothing yet."""
    return Kept(_same, _copied, _lasts)


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

    def _lasts(result: Any) -> bool:  # noqa: ARG001 (as for the others)
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

    def _lasts(result: Any) -> bool:
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

    def _lasts(result: Any) -> bool:  # noqa: ARG001 (as for the others)
        return False
