"""A contraction and a relu on JAX whose gradients suit XLA's compiler on CPU; elsewhere they are the usual ones."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["einsum", "relu"]


def einsum(equation: str, a: Any, b: Any) -> Any:
    """The sum of products of data ``a`` and a kernel ``b``.

    The gradient of a kernel is a product over the batch. XLA on CPU computes it up to six times faster if its result
    has no fewer columns than rows, so the gradient of a kernel that is narrow at its output is computed transposed.
    """
    return _einsum(equation, a, b)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _einsum(equation: str, a: Any, b: Any) -> Any:
    return jnp.einsum(equation, a, b)


def _einsum_forward(equation: str, a: Any, b: Any) -> tuple[Any, tuple[Any, Any]]:
    return jnp.einsum(equation, a, b), (a, b)


def _einsum_backward(equation: str, operands: tuple[Any, Any], g: Any) -> tuple[Any, Any]:
    a, b = operands
    columns = _transposed(equation, b.shape)
    if columns is None or jax.default_backend() != "cpu":
        return jax.vjp(partial(jnp.einsum, equation), a, b)[1](g)
    (da,) = jax.vjp(lambda a: jnp.einsum(equation, a, b), a)[1](g)
    first, second, output = equation.replace("->", ",").split(",")
    # Without the barrier XLA would put the transposition back into the product.
    transposed = jax.lax.optimization_barrier(jnp.einsum(f"{output},{first}->{columns}", g, a))
    return da, jnp.einsum(f"{columns}->{second}", transposed)


def _transposed(equation: str, shape: tuple[int, ...]) -> str | None:
    """Axes of the kernel with those of the output before those of the input; None if that would not be faster."""
    first, second, output = equation.replace("->", ",").split(",")
    if set(second) - set(first) - set(output):
        return None
    sizes = dict(zip(second, shape, strict=True))
    shared = [c for c in second if c in first and c in output]
    rows = [c for c in second if c not in output]
    columns = [c for c in second if c not in first]
    wide = prod(sizes[c] for c in columns) >= prod(sizes[c] for c in rows)
    return None if wide else "".join([*shared, *columns, *rows])


_einsum.defvjp(_einsum_forward, _einsum_backward)


def relu(x: Any) -> Any:
    """``max(x, 0)`` with a gradient that reads the output, so that the input is not kept for the backward pass.

    As a selection: XLA writes that out once, where it would repeat a maximum in every loop that reads it.
    """
    return _relu(x)


@jax.custom_vjp
def _relu(x: Any) -> Any:
    return jnp.where(x < 0, jnp.zeros_like(x), x)


def _relu_forward(x: Any) -> tuple[Any, Any]:
    y = _relu(x)
    return y, y


def _relu_backward(y: Any, g: Any) -> tuple[Any]:
    return (jnp.where(y > 0, g, jnp.zeros_like(g)),)


_relu.defvjp(_relu_forward, _relu_backward)
